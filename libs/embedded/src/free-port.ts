import { createServer, type AddressInfo } from 'node:net';

/**
 * A port that nobody listens on at the moment.
 *
 * @param preferred taken if it is free; otherwise, and by default, the system chooses
 */
export async function freePort(host: string, preferred = 0): Promise<number> {
  return (await probePort(host, preferred)) ?? (await probePort(host, 0)) ?? 0;
}

/** Whether a server could listen there now. */
export async function isPortFree(host: string, port: number): Promise<boolean> {
  return (await probePort(host, port)) !== undefined;
}

function probePort(host: string, port: number): Promise<number | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(undefined);
    });
    server.listen({ host, port, exclusive: true }, () => {
      const address = server.address() as AddressInfo;
      server.close(() => {
        resolve(address.port);
      });
    });
  });
}
