// Runs test levels one after another: `node tools/run-jest.mjs unit int e2e`. Fails when a test failed, was skipped or
// left to do, or when there was none. What stands after `--` goes to Jest for a selective run, without that gate.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt } from './ensure-built.mjs';

const ROOT = join(import.meta.dirname, '..');

/** Unit tests are many and small; the others start servers, so few at a time. */
const LEVELS = { unit: [], int: ['--maxWorkers=2'], e2e: ['--runInBand'] };

/** A level that goes on for longer hangs, most likely on something that a test left open. */
const LEVEL_TIMEOUT_MS = 20 * 60_000;

/** What a Jest JSON report amounts to. `problems` is empty when the level may be trusted. */
export function judge(report) {
  const skipped = report.testResults.flatMap(({ assertionResults }) =>
    assertionResults.filter(({ status }) => !['passed', 'failed'].includes(status)).map(({ fullName }) => fullName),
  );
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  const problems = [];
  if (failed > 0) problems.push(`${failed} failed`);
  if (skipped.length > 0) problems.push(`${skipped.length} skipped: ${skipped.join('; ')}`);
  if (report.numTotalTests === 0) problems.push('no test was found');
  return { passed: report.numPassedTests, failed, problems };
}

/** Runs Jest with these arguments and judges it. A run without a report (Jest crashed) counts as one failure. */
export function runJest(args, cwd = ROOT) {
  const folder = mkdtempSync(join(tmpdir(), 'posthaste-jest-'));
  const reportFile = join(folder, 'report.json');
  const jest = join(ROOT, 'node_modules/jest/bin/jest.js');
  const flags = ['--experimental-vm-modules', '--no-warnings', jest, '--ci', '--json', `--outputFile=${reportFile}`];
  try {
    const { status } = spawnSync(process.execPath, [...flags, ...args], {
      cwd,
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: LEVEL_TIMEOUT_MS,
    });
    const verdict = judge(JSON.parse(readFileSync(reportFile, 'utf8')));
    if (status === null) verdict.problems.push('Jest did not end by itself');
    else if (status !== 0 && verdict.problems.length === 0) verdict.problems.push(`Jest ended with status ${status}`);
    return verdict;
  } catch (error) {
    return { passed: 0, failed: 1, problems: [`Jest left no report: ${error.message}`] };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs one level. e2e runs the built services, so it builds first. */
export function runLevel(level, extra = []) {
  if (level === 'e2e' && !ensureBuilt()) return { passed: 0, failed: 1, problems: ['the build failed'] };
  // --selectProjects takes all words that follow, so it comes last.
  return runJest([...extra, ...LEVELS[level], '--selectProjects', level]);
}

function main(args) {
  const selected = args.filter((arg) => Object.hasOwn(LEVELS, arg));
  const extra = args.filter((arg) => !Object.hasOwn(LEVELS, arg));
  const verdicts = selected.map((level) => ({ level, ...runLevel(level, extra) }));
  const selective = extra.length > 0;
  const bad = verdicts.filter(({ failed, problems }) => (selective ? failed > 0 : problems.length > 0));
  for (const { level, problems } of bad) console.error(`${level}: ${problems.join('; ')}`);
  console.log(`${sum(verdicts, 'passed')} passed, ${sum(verdicts, 'failed')} failed`);
  return selected.length > 0 && bad.length === 0 ? 0 : 1;
}

function sum(verdicts, key) {
  return verdicts.reduce((total, verdict) => total + verdict[key], 0);
}

if (import.meta.main) process.exitCode = main(process.argv.slice(2));
