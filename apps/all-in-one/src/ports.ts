import { join } from 'node:path';
import { freePort } from '#embedded/free-port';
import { readJsonFile, writePrivateFile } from '#embedded/private-file';

/** Where the servers of a data directory listen, on 127.0.0.1. */
export interface ServerPorts {
  readonly nats: number;
  readonly postgres: number;
}

/** The ports of the last start while they are free, so that a URL that somebody noted goes on to work. */
export async function chooseServerPorts(dataDir: string): Promise<ServerPorts> {
  const path = join(dataDir, 'ports.json');
  const last = await readJsonFile(path);
  const choose = (port: unknown): Promise<number> => freePort('127.0.0.1', typeof port === 'number' ? port : 0);
  const ports = { nats: await choose(last['nats']), postgres: await choose(last['postgres']) };
  await writePrivateFile(path, `${JSON.stringify(ports)}\n`);
  return ports;
}
