// `npm run check`: every gate, then every test level. All of them run, so that one look shows all that is wrong.
// The last line is `N passed, N failed`; a gate that failed, or a level with skipped tests, counts as a failure.
import { spawnSync } from 'node:child_process';
import { ensureBuilt } from './ensure-built.mjs';
import { runLevel } from './run-jest.mjs';

const GATES = ['format:check', 'lint', 'typecheck', 'boundaries', 'deadcode', 'docs:check'];
const LEVELS = ['unit', 'int', 'e2e'];

function runGate(name) {
  const { status } = spawnSync('npm', ['run', '--silent', name], { stdio: 'inherit' });
  return gateVerdict(status === 0);
}

function gateVerdict(ok) {
  return ok ? { passed: 0, failed: 0, problems: [] } : { passed: 0, failed: 1, problems: ['see above'] };
}

function timed(name, run) {
  console.log(`\n▸ ${name}`);
  const startMs = performance.now();
  const verdict = run();
  return { name, ...verdict, seconds: (performance.now() - startMs) / 1000 };
}

function printSummary(steps) {
  console.log('');
  for (const { name, passed, problems, seconds } of steps) {
    const result = problems.length > 0 ? `FAILED (${problems.join('; ')})` : passed > 0 ? `${passed} passed` : 'ok';
    console.log(`${name.padEnd(14)}${seconds.toFixed(1).padStart(7)} s  ${result}`);
  }
}

const steps = [
  ...GATES.map((gate) => timed(gate, () => runGate(gate))),
  timed('build', () => gateVerdict(ensureBuilt({ force: true }))),
  ...LEVELS.map((level) => timed(level, () => runLevel(level))),
];
const passed = steps.reduce((total, step) => total + step.passed, 0);
const failed = steps.reduce((total, step) => total + Math.max(step.failed, step.problems.length > 0 ? 1 : 0), 0);
printSummary(steps);
console.log(`\n${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
