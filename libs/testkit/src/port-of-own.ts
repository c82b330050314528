import { freePort } from '#embedded/free-port';

const given = new Set<number>();

/**
 * A port that nobody listens on at the moment, and another one at each call: whoever gets it takes a while to listen, and the
 * system may choose it once more meanwhile.
 */
export async function portOfOwn(): Promise<number> {
  for (;;) {
    const port = await freePort('127.0.0.1');
    if (given.has(port)) continue;
    given.add(port);
    return port;
  }
}
