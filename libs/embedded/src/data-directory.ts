import { link, mkdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { processIdentity } from './processes.ts';

/** A directory that this process alone uses until it releases it. */
export interface DataDirectory {
  /** Absolute, symbolic links resolved. */
  readonly path: string;
  release(): Promise<void>;
}

/** Another Posthaste works on the directory. */
export class DataDirectoryInUse extends Error {
  readonly code = 'embedded.data_directory_in_use';

  constructor(path: string, pid: number) {
    super(
      `The data directory ${path} is in use by process ${pid}. ` +
        'Stop that process, or set POSTHASTE_DATA_DIR to another directory.',
    );
  }
}

/** The directory can not be made or written. */
export class DataDirectoryUnusable extends Error {
  readonly code = 'embedded.data_directory_unusable';
}

/**
 * Makes the directory if it is missing and locks it. A lock whose owner does not run any more is taken over.
 *
 * @throws DataDirectoryInUse naming the process that has it
 * @throws DataDirectoryUnusable
 */
export async function openDataDirectory(directory: string): Promise<DataDirectory> {
  const path = await makeDirectory(resolve(directory));
  const lockFile = join(path, 'posthaste.pid');
  const own = JSON.stringify({ pid: process.pid, identity: await processIdentity(process.pid) });
  const draft = `${lockFile}.${process.pid}`;
  await writeFile(draft, own, { mode: 0o600 });
  try {
    while (!(await linked(draft, lockFile))) await removeStaleLock(path, lockFile);
  } finally {
    await rm(draft, { force: true });
  }
  return { path, release: () => rm(lockFile, { force: true }) };
}

/** Others may not list it. Root lets them pass through: PostgreSQL refuses to run as root and has to reach its files. */
async function makeDirectory(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true, mode: process.getuid?.() === 0 ? 0o711 : 0o700 });
    return await realpath(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DataDirectoryUnusable(`The data directory ${path} can not be used: ${reason}`, { cause });
  }
}

/** Linking puts the whole lock there at once, or fails: nobody ever reads half a lock. */
async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (cause) {
    if ((cause as { code?: unknown }).code === 'EEXIST') return false;
    throw new DataDirectoryUnusable(`The data directory can not be locked: ${String(cause)}`, { cause });
  }
}

/** Two starts may find the same stale lock: each moves away what it found and puts it back if it was not that. */
async function removeStaleLock(path: string, lockFile: string): Promise<void> {
  const found = await readFile(lockFile, 'utf8').catch(() => undefined);
  if (found === undefined) return;
  await assertStale(path, found);
  const aside = `${lockFile}.stale.${process.pid}`;
  await rename(lockFile, aside).catch(() => undefined);
  const moved = await readFile(aside, 'utf8').catch(() => undefined);
  if (moved !== undefined && moved !== found) await linked(aside, lockFile);
  await rm(aside, { force: true });
}

async function assertStale(path: string, lock: string): Promise<void> {
  const owner = parseLock(lock);
  if (owner === undefined) return;
  const identity = await processIdentity(owner.pid);
  if (identity !== undefined && identity === owner.identity) throw new DataDirectoryInUse(path, owner.pid);
}

function parseLock(text: string): { pid: number; identity: unknown } | undefined {
  try {
    const { pid, identity } = JSON.parse(text) as { pid?: unknown; identity?: unknown };
    return typeof pid === 'number' ? { pid, identity } : undefined;
  } catch {
    return undefined;
  }
}
