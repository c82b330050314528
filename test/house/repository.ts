import { readdirSync } from 'node:fs';
import { join, sep } from 'node:path';

/** The root of the repository. */
export const REPOSITORY = join(import.meta.dirname, '../..');

/** Files below `folders` of `root` whose names end with `suffix`, relative to `root`, with slashes, sorted. */
export function listFiles(root: string, folders: readonly string[], suffix: string): string[] {
  return folders
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(folder, file)),
    )
    .map((file) => file.split(sep).join('/'))
    .filter((file) => file.endsWith(suffix))
    .sort();
}
