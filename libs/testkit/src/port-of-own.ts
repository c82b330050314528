import { randomInt } from 'node:crypto';
import { isPortFree } from '#embedded/free-port';

const FIRST = 20_000;
const COUNT = 10_000;
/** Processes of Jest that run tests at once, at most. */
const WORKERS = 4;

const worker = Number(process.env['JEST_WORKER_ID'] ?? 0);
const given = new Set<number>();

/**
 * A port that nobody listens on at the moment, and another one at each call: whoever gets it takes a while to listen, and may
 * leave it for a while. It lies below those that the system gives to whoever does not care (from 32 768 on Linux, 49 152
 * elsewhere), and each process of Jest has its own, so nobody gets it by chance meanwhile.
 */
export async function portOfOwn(): Promise<number> {
  for (;;) {
    const port = FIRST + WORKERS * randomInt(COUNT / WORKERS) + (worker % WORKERS);
    if (given.has(port) || !(await isPortFree('127.0.0.1', port))) continue;
    given.add(port);
    return port;
  }
}
