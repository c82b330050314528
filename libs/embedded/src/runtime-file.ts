import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readJsonFile, writePrivateFile } from './private-file.ts';
import { processIdentity } from './processes.ts';

/** Where a running Posthaste can be reached: `runtime.json` (0600) in its data directory, for the tools beside it. */
export interface Runtime {
  /** The process that started everything. */
  readonly pid: number;
  /** Base URL of `POST /publish`. */
  readonly httpUrl: string;
  /** Base URL of `/v1`; the same as `httpUrl` in the all-in-one. */
  readonly registryUrl: string;
  /** Base URL of the inboxes; a name follows after a slash. */
  readonly inboxUrl: string;
  /** With credentials. */
  readonly natsUrl: string;
  /** With credentials. */
  readonly databaseUrl: string;
  readonly adminToken: string;
  /** A tenant that is there, and a key of it with all scopes. */
  readonly tenant: string;
  readonly apiKey: string;
}

export async function writeRuntime(dataDir: string, runtime: Runtime): Promise<void> {
  const identity = await processIdentity(runtime.pid);
  await writePrivateFile(fileIn(dataDir), `${JSON.stringify({ ...runtime, identity }, undefined, 2)}\n`);
}

export async function removeRuntime(dataDir: string): Promise<void> {
  await rm(fileIn(dataDir), { force: true });
}

/** What runs on the data directory, or undefined when nothing does (any more). */
export async function readRuntime(dataDir: string): Promise<Runtime | undefined> {
  const members = await readJsonFile(fileIn(dataDir));
  const { pid, identity } = members;
  if (typeof pid !== 'number' || (await processIdentity(pid)) !== identity) return undefined;
  return members as unknown as Runtime;
}

function fileIn(dataDir: string): string {
  return join(dataDir, 'runtime.json');
}
