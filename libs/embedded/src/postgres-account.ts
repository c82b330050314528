import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const NAME = 'postgres';

/** Whom a process runs as. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** We are root and there is nobody else to run PostgreSQL as. */
export class NoPostgresAccount extends Error {
  readonly code = 'embedded.no_postgres_account';
}

/**
 * PostgreSQL refuses to run as root: then it runs as the user `postgres`, which is made if it is missing. Otherwise it runs as
 * we do.
 *
 * @returns undefined when we are not root
 * @throws NoPostgresAccount
 */
export async function postgresAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const known = await lookUp();
  if (known !== undefined) return known;
  try {
    await run('groupadd', ['--system', '--force', NAME]);
    await run('useradd', ['--system', '--gid', NAME, '--no-create-home', '--shell', '/usr/sbin/nologin', NAME]);
  } catch (cause) {
    throw new NoPostgresAccount(
      'PostgreSQL does not run as root, and the user "postgres" could not be made. ' +
        'Start Posthaste as another user, make that user, or set POSTHASTE_DATABASE_URL to a server of your own.',
      { cause },
    );
  }
  const made = await lookUp();
  if (made === undefined) throw new NoPostgresAccount('The user "postgres" was made but can not be found.');
  return made;
}

async function lookUp(): Promise<Account | undefined> {
  try {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map(async (what) => Number((await run('id', [what, NAME])).stdout)),
    );
    return uid === undefined || gid === undefined ? undefined : { uid, gid };
  } catch {
    return undefined;
  }
}
