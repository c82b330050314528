// Makes the package @posthaste/receiver: compiles libs/receiver with what it uses of libs/core, and packs it.
//
//   node tools/pack-receiver.mjs [FOLDER]     default: dist/receiver-package; prints the path of the tarball
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const RECEIVER = join(ROOT, 'libs/receiver');
const folder = resolve(process.argv[2] ?? join(ROOT, 'dist/receiver-package'));

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const run = (command, args, cwd) =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const compiler = join(ROOT, 'node_modules/typescript/bin/tsc');
run(process.execPath, [compiler, '-p', join(RECEIVER, 'npm/tsconfig.json'), '--outDir', join(folder, 'dist')], ROOT);

const { version } = readJson(join(ROOT, 'package.json'));
const manifest = { ...readJson(join(RECEIVER, 'npm/package.json')), version };
writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
cpSync(join(RECEIVER, 'README.md'), join(folder, 'README.md'));
cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'));

const [{ filename }] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--offline'], folder));
console.log(join(folder, filename));
