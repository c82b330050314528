// Builds dist/ when a source is newer than the last build that succeeded. `--force` always asks the compiler, which is
// incremental. Plain JavaScript, because it runs before there is a build.
import { spawnSync } from 'node:child_process';
import { readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const SOURCES = ['apps', 'libs', 'bench', 'tools', 'package.json', 'tsconfig.json', 'tsconfig.build.json'];
const MARK = join(ROOT, 'dist/.built');

/** Unix ms of the last change below a path; a deleted source changes its folder. 0 when there is no such path. */
function changedAt(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((latest, name) => Math.max(latest, changedAt(join(path, name))), stat.mtimeMs);
}

/** True when dist/ is as new as the sources, afterwards. The compiler prints what is wrong. */
export function ensureBuilt({ force = false } = {}) {
  const startedAt = new Date();
  const builtAt = changedAt(MARK);
  if (!force && SOURCES.every((source) => changedAt(join(ROOT, source)) < builtAt)) return true;
  rmSync(MARK, { force: true });
  process.stderr.write('Building …\n');
  const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
  const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (status !== 0) return false;
  writeFileSync(MARK, '');
  utimesSync(MARK, startedAt, startedAt);
  return true;
}

if (import.meta.main && !ensureBuilt({ force: process.argv.includes('--force') })) process.exit(1);
