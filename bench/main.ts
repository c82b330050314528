import { writeFile } from 'node:fs/promises';
import { runBare } from './bare.ts';
import { runFairness } from './fairness.ts';
import { runFlood } from './flood.ts';
import { runIsolation } from './isolation.ts';
import type { RunFigures } from './measure.ts';
import { readOptions, type BenchOptions, type ScenarioName } from './options.ts';
import { formatReport, makeReport, type ScenarioFigures } from './report.ts';
import { runSign } from './sign.ts';
import { startBenchSink, type BenchSink } from './start-sink.ts';
import { runSteady } from './steady.ts';

type Say = (line: string) => void;

const SCENARIOS: Record<ScenarioName, (options: BenchOptions, say: Say) => Promise<ScenarioFigures>> = {
  bare: withSink(runBare),
  steady: withSink(runSteady),
  isolation: runIsolation,
  fairness: async (options, say) => ({ runs: [], fairness: await runFairness(options, say) }),
  flood: async (options, say) => ({ runs: [], flood: await runFlood(options, say) }),
  sign: async (options, say) => ({ runs: [], sign: await runSign(options, say) }),
};

function withSink(run: (options: BenchOptions, sink: BenchSink, say: Say) => Promise<readonly RunFigures[]>) {
  return async (options: BenchOptions, say: Say): Promise<ScenarioFigures> => {
    const sink = await startBenchSink(options.tls);
    try {
      return { runs: await run(options, sink, say) };
    } finally {
      await sink.stop();
    }
  };
}

async function main(options: BenchOptions): Promise<void> {
  const say: Say = (line) => process.stderr.write(`${line}\n`);
  const scenarios: Record<string, ScenarioFigures> = {};
  for (const name of options.scenarios) scenarios[name] = await SCENARIOS[name](options, say);
  const report = makeReport(options, scenarios, Date.now());
  const json = `${JSON.stringify(report, null, 2)}\n`;
  if (options.json === '-') process.stdout.write(json);
  else process.stdout.write(formatReport(report));
  if (options.json !== undefined && options.json !== '-') await writeFile(options.json, json);
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
try {
  await main(readOptions(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
