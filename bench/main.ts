import { writeFile } from 'node:fs/promises';
import { runBare } from './bare.ts';
import type { RunFigures } from './measure.ts';
import { readOptions, type BenchOptions } from './options.ts';
import { formatReport, makeReport } from './report.ts';
import { startBenchSink } from './start-sink.ts';
import { runSteady } from './steady.ts';

const SCENARIOS = { bare: runBare, steady: runSteady };

async function main(options: BenchOptions): Promise<void> {
  const say = (line: string) => process.stderr.write(`${line}\n`);
  const scenarios: Record<string, readonly RunFigures[]> = {};
  for (const name of options.scenarios) {
    const sink = await startBenchSink(options.tls);
    try {
      scenarios[name] = await SCENARIOS[name](options, sink, say);
    } finally {
      await sink.stop();
    }
  }
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
