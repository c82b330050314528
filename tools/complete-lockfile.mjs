// npm leaves out of package-lock.json the optional platform packages that the registry at hand does not serve, and then
// `npm ci` refuses the lockfile ("Missing: @oxlint/binding-darwin-arm64 from lock file"). This adds the entries: name,
// version, and the platform that the name tells, so that npm skips them elsewhere and installs them there.
//
//   npm install && node tools/complete-lockfile.mjs          --check: only says what is missing, exit code 1
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const LOCKFILE = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const PLATFORM =
  /(?<os>android|darwin|freebsd|linux|openharmony|win32)-(?<cpu>arm64|arm|x64|ia32|ppc64|riscv64|s390x|loong64)(?:-(?<libc>gnu|musl)\w*|-msvc|-eabi)?$/;

const lock = JSON.parse(readFileSync(LOCKFILE, 'utf8'));
const missing = findMissing(lock.packages);
if (process.argv.includes('--check')) {
  for (const { name } of missing) console.error(`package-lock.json has no entry for ${name}`);
  process.exitCode = missing.length === 0 ? 0 : 1;
} else {
  for (const { name, version, dev } of missing) lock.packages[`node_modules/${name}`] = entryOf(name, version, dev);
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(LOCKFILE, `${JSON.stringify({ ...lock, packages: Object.fromEntries(sorted) }, null, 2)}\n`);
  console.log(`${missing.length} entries added`);
}

function findMissing(packages) {
  return Object.entries(packages).flatMap(([path, { optionalDependencies = {}, dev = false }]) =>
    Object.entries(optionalDependencies)
      .filter(([name]) => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages))
      .map(([name, version]) => ({ name, version, dev })),
  );
}

function entryOf(name, version, dev) {
  const platform = PLATFORM.exec(name)?.groups;
  if (!platform || !/^\d/.test(version)) throw new Error(`${name}@${version}: for which platform?`);
  const { os, cpu, libc } = platform;
  const byLibc = libc ? { libc: [libc === 'gnu' ? 'glibc' : 'musl'] } : {};
  return { version, cpu: [cpu], ...(dev ? { dev } : {}), ...byLibc, optional: true, os: [os] };
}
