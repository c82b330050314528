import { join } from 'node:path';
import { readJsonFile, writePrivateFile } from './private-file.ts';

/** Secrets that were generated once and stay the same for as long as the data directory lives. */
export interface KeptSecrets {
  get(name: string): string | undefined;
  /** The kept one, else a new one that is kept before it is returned. */
  keep(name: string, make: () => string): Promise<string>;
  put(name: string, value: string): Promise<void>;
}

/** Opens `secrets.json` (0600) in a data directory that this process has locked. */
export async function openKeptSecrets(dataDir: string): Promise<KeptSecrets> {
  const path = join(dataDir, 'secrets.json');
  const secrets = new Map(Object.entries(await readJsonFile(path)).filter(isTextEntry));
  let written = Promise.resolve();
  const put = (name: string, value: string): Promise<void> => {
    secrets.set(name, value);
    const text = `${JSON.stringify(Object.fromEntries(secrets), undefined, 2)}\n`;
    written = written.then(() => writePrivateFile(path, text));
    return written;
  };
  return {
    get: (name) => secrets.get(name),
    async keep(name, make) {
      const kept = secrets.get(name);
      if (kept !== undefined) return kept;
      const made = make();
      await put(name, made);
      return made;
    },
    put,
  };
}

function isTextEntry(entry: readonly [string, unknown]): entry is [string, string] {
  return typeof entry[1] === 'string';
}
