import type { buildConnector } from 'undici';

/**
 * Lets a connector have so many sockets open to an origin at a time; who comes then waits for one to close. For connectors that
 * do not share a pool, which would count for them.
 */
export function makeOriginSlots(maxPerOrigin: number) {
  const taken = new Map<string, number>();
  const waiting = new Map<string, (() => void)[]>();

  function take(origin: string, begin: () => void): void {
    const count = taken.get(origin) ?? 0;
    if (count < maxPerOrigin) {
      taken.set(origin, count + 1);
      begin();
    } else waiting.set(origin, [...(waiting.get(origin) ?? []), begin]);
  }

  function release(origin: string): void {
    const next = waiting.get(origin)?.shift();
    if (next !== undefined) {
      next(); // it has the slot of the one that is gone
      return;
    }
    waiting.delete(origin);
    const count = (taken.get(origin) ?? 0) - 1;
    if (count > 0) taken.set(origin, count);
    else taken.delete(origin);
  }

  return function limited(connect: buildConnector.connector): buildConnector.connector {
    return (target, callback) => {
      const origin = `${target.protocol}//${target.host ?? target.hostname}`;
      take(origin, () => {
        try {
          connect(target, (...[error, socket]) => {
            if (error === null) {
              socket.once('close', () => {
                release(origin);
              });
              callback(null, socket);
            } else {
              release(origin);
              callback(error, null);
            }
          });
        } catch (error) {
          release(origin);
          callback(error as Error, null);
        }
      });
    };
  };
}
