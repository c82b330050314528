import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * The path of a Node of exactly this version, for what has to run on others than ours. npm installs it into the cache, once.
 *
 * @param version such as `20.12.0`
 */
export async function nodeRelease(version: string): Promise<string> {
  const base = process.env['XDG_CACHE_HOME'] || join(process.env['HOME'] || homedir(), '.cache');
  const folder = join(base, 'posthaste', 'node', version);
  const binary = join(folder, 'node_modules/node/bin/node');
  if (await isExecutable(binary)) return binary;
  await mkdir(dirname(folder), { recursive: true });
  const scratch = await mkdtemp(`${folder}.`);
  try {
    const flags = ['--no-audit', '--no-fund', '--no-save', '--ignore-scripts=false'];
    await run('npm', ['install', ...flags, '--prefix', scratch, `node@${version}`], { cwd: scratch, timeout: 300_000 });
    await rename(scratch, folder).catch(() => rm(scratch, { recursive: true })); // another test was first
  } catch (cause) {
    await rm(scratch, { recursive: true, force: true });
    throw new Error(`There is no Node ${version} for this test, and npm could not install it.`, { cause });
  }
  return binary;
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
