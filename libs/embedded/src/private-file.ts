import { open, readFile, rename } from 'node:fs/promises';

/** Replaces a file at once and for good, readable by its owner only: a crash leaves the old or the new one, never half. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.tmp`;
  const file = await open(draft, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
}

/** The members of a JSON object in a file; empty when there is no such file. */
export async function readJsonFile(path: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await readFile(path, 'utf8').catch(undefinedWhenMissing);
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch (cause) {
    throw new MalformedFile(`${path} is not JSON. Restore it, or move it away to start afresh.`, { cause });
  }
}

/** A file of the data directory that somebody else has written to. */
export class MalformedFile extends Error {
  readonly code = 'embedded.malformed_file';
}

function undefinedWhenMissing(error: unknown): undefined {
  if ((error as { code?: unknown }).code !== 'ENOENT') throw error;
}
