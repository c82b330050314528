import { randomInt } from 'node:crypto';
import { isPortFree } from '#embedded/free-port';

const FIRST = 20_000;
const COUNT = 10_000;

const given = new Set<number>();

/**
 * A port that nobody listens on at the moment, and another one at each call: whoever gets it takes a while to listen, and may
 * leave it for a while. It lies below those that the system gives to whoever does not care (from 32 768 on Linux, 49 152
 * elsewhere), so nobody gets it by chance meanwhile.
 */
export async function portOfOwn(): Promise<number> {
  for (;;) {
    const port = FIRST + randomInt(COUNT);
    if (given.has(port) || !(await isPortFree('127.0.0.1', port))) continue;
    given.add(port);
    return port;
  }
}
