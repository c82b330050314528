import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { REPOSITORY, listFiles } from './repository.ts';

/** One fault that a gate found: the file, relative to the tree that was looked at, and the rule. */
interface Finding {
  readonly file: string;
  readonly rule: string;
}

/** What a gate says about a tree. A gate that looks at no file finds nothing, so the count matters too. */
interface Verdict {
  readonly findings: readonly Finding[];
  readonly fileCount: number;
}

const FIXTURES = join(REPOSITORY, 'test/fixtures/gates');
const FOLDERS = ['apps', 'libs'];
const TOOL_TIMEOUT_MS = 180_000;

describe('lint', () => {
  const root = join(FIXTURES, 'lint');

  test(
    'rejects every planted fault by its rule, and nothing else',
    async () => expect(tally((await lint(root)).findings)).toEqual(plantedFindings(root)),
    TOOL_TIMEOUT_MS,
  );

  test(
    'looks at every source of the repository',
    async () => {
      const count = sourceCount();
      expect((await lint(REPOSITORY)).fileCount).toBeGreaterThanOrEqual(count);
    },
    TOOL_TIMEOUT_MS,
  );
});

describe('the import table', () => {
  const root = join(FIXTURES, 'imports');

  test(
    'rejects every planted fault by its rule, and nothing else',
    async () => expect(tally((await cruise(root)).findings)).toEqual(plantedFindings(root)),
    TOOL_TIMEOUT_MS,
  );

  test(
    'looks at every source of the repository',
    async () => {
      const count = sourceCount();
      expect((await cruise(REPOSITORY)).fileCount).toBeGreaterThanOrEqual(count);
    },
    TOOL_TIMEOUT_MS,
  );

  test('has a planted fault for every rule', async () => {
    const { default: config } = (await import(join(REPOSITORY, '.dependency-cruiser.mjs'))) as {
      default: { forbidden: { name: string }[] };
    };
    const planted = new Set(Object.values(plantedFindings(root)).flat());
    expect([...planted].sort()).toEqual(config.forbidden.map(({ name }) => name).sort());
  });
});

describe('dead code', () => {
  test(
    'rejects what nobody uses: a file, an export, a dependency',
    async () => expect(await deadCode([])).toEqual(['forgotten.ts', 'usedByNobody', 'zod']),
    TOOL_TIMEOUT_MS,
  );

  test(
    'rejects in production what only tests use',
    async () =>
      expect(await deadCode(['--production'])).toEqual(['forgotten.ts', 'usedByNobody', 'usedByTests', 'zod']),
    TOOL_TIMEOUT_MS,
  );
});

describe('the test runner', () => {
  test.each([
    ['passes', { passed: 1, failed: 0, problems: [] }],
    ['skips', { passed: 1, failed: 0, problems: ['2 skipped: is skipped; is left to do'] }],
    ['fails', { passed: 1, failed: 1, problems: ['1 failed'] }],
    ['crashes', { passed: 0, failed: 1, problems: ['1 failed', 'no test was found'] }],
    ['nothing-of-that-name', { passed: 0, failed: 0, problems: ['no test was found'] }],
  ])(
    'judges a level that %s',
    async (name, verdict) => {
      const runner = join(REPOSITORY, 'tools/run-jest.mjs');
      const script = `
        import { runJest } from ${JSON.stringify(runner)};
        const args = ['--silent', '--rootDir', ${JSON.stringify(join(FIXTURES, 'tests'))}, '${name}.test.js'];
        console.log(JSON.stringify(runJest([...args, '--config', '{"testMatch":["**/*.test.js"],"transform":{}}'])));
      `;
      expect(JSON.parse(await run(['--input-type=module', '--eval', script], REPOSITORY))).toEqual(verdict);
    },
    TOOL_TIMEOUT_MS,
  );
});

/** Runs Node and answers what it printed. That a tool found faults (a non-zero exit) is no error here. */
function run(args: readonly string[], cwd: string): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [...args], { cwd, maxBuffer: 1 << 26 }, (_error, stdout) => {
      resolve(stdout);
    });
  });
}

function runTool(script: string, args: readonly string[], cwd: string): Promise<string> {
  return run([join(REPOSITORY, 'node_modules', script), ...args], cwd);
}

async function lint(root: string): Promise<Verdict> {
  const folders = FOLDERS.map((folder) => join(root, folder));
  const report = JSON.parse(await runTool('oxlint/bin/oxlint', ['--format', 'json', ...folders], REPOSITORY)) as {
    number_of_files: number;
    diagnostics: { filename: string; code?: string }[];
  };
  const findings = report.diagnostics.map(({ filename, code }) => ({
    file: relative(root, join(REPOSITORY, filename)),
    rule: code === undefined ? 'unused-directive' : lintRuleName(code),
  }));
  return { findings, fileCount: report.number_of_files };
}

/** `eslint(no-console)` is called `no-console`, `jest(no-focused-tests)` is called `jest/no-focused-tests`. */
function lintRuleName(code: string): string {
  return code.replace(/^(.+)\((.+)\)$/, '$1/$2').replace(/^eslint\//, '');
}

async function cruise(root: string): Promise<Verdict> {
  const args = ['--config', join(REPOSITORY, '.dependency-cruiser.mjs'), '--output-type', 'json', ...FOLDERS];
  const report = JSON.parse(await runTool('dependency-cruiser/bin/dependency-cruiser.mjs', args, root)) as {
    modules: { source: string }[];
    summary: { violations: { from: string; rule: { name: string } }[] };
  };
  return {
    findings: report.summary.violations.map(({ from, rule }) => ({ file: from, rule: rule.name })),
    fileCount: report.modules.filter(({ source }) => /^(apps|libs)\/.+\.ts$/.test(source)).length,
  };
}

async function deadCode(flags: readonly string[]): Promise<string[]> {
  const args = ['--directory', join(FIXTURES, 'deadcode'), '--config', join(REPOSITORY, 'knip.json'), ...flags];
  const report = JSON.parse(await runTool('knip/bin/knip.js', ['--reporter', 'json', ...args], REPOSITORY)) as {
    issues: Record<'files' | 'exports' | 'dependencies', { name: string }[]>[];
  };
  const names = report.issues.flatMap(({ files, exports, dependencies }) => [...files, ...exports, ...dependencies]);
  return names.map(({ name }) => name.replace(/^.*\//, '')).sort();
}

/** What the first lines of the fixtures announce: `// rejected: no-console ×1, eqeqeq ×1`, or `nothing`. */
function plantedFindings(root: string): Record<string, string[]> {
  const findings = listFiles(root, FOLDERS, '.ts').flatMap((file) => {
    const [line = ''] = readFileSync(join(root, file), 'utf8').split('\n');
    return [...line.matchAll(/([\w/-]+) ×(\d+)/g)].flatMap(([, rule = '', count]) =>
      Array.from({ length: Number(count) }, () => ({ file, rule })),
    );
  });
  return tally(findings);
}

/** The rules that fired, per file, sorted. */
function tally(findings: readonly Finding[]): Record<string, string[]> {
  const perFile: Record<string, string[]> = {};
  for (const { file, rule } of findings) perFile[file] = [...(perFile[file] ?? []), rule].sort();
  return perFile;
}

function sourceCount(): number {
  return listFiles(REPOSITORY, FOLDERS, '.ts').length;
}
