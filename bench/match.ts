import { fork } from 'node:child_process';
import { cpus } from 'node:os';
import { once } from 'node:events';
import { measureMatching, type MatchingFigures } from './match-measure.ts';

const SIZES = [1_000, 10_000, 100_000, 1_000_000];

/** `npm run bench:match [sizes…]`: the match index alone, each size in a process of its own. */
async function main(args: readonly string[]): Promise<void> {
  const sizes = args.length > 0 ? args.map(Number) : SIZES;
  console.log(`match index; Node ${process.version}, ${cpus()[0]?.model ?? 'unknown CPU'}\n`);
  for (const [i, size] of sizes.entries()) {
    const cells = cellsOf(await measureInChild(size));
    if (i === 0) console.log(`${row(Object.keys(cells))}\n${row(Object.keys(cells).map(() => '---:'))}`);
    console.log(row(Object.values(cells)));
  }
}

async function measureInChild(size: number): Promise<MatchingFigures> {
  const execArgv = [...process.execArgv, '--expose-gc', '--max-old-space-size=6144'];
  const child = fork(new URL(import.meta.url), ['--child', String(size)], { execArgv });
  const [figures] = (await once(child, 'message')) as [MatchingFigures];
  await once(child, 'exit');
  return figures;
}

function cellsOf(figures: MatchingFigures): Record<string, string> {
  const { eventMicroseconds: by } = figures;
  return {
    subscriptions: figures.size.toLocaleString('en'),
    '0 matches': `${by.none.toFixed(2)} µs`,
    '1 match': `${by.one.toFixed(2)} µs`,
    '10 matches': `${by.ten.toFixed(2)} µs`,
    '1,000 matches': `${by.thousand.toFixed(1)} µs`,
    'background event': `${by.background.toFixed(2)} µs (${figures.backgroundMatchCount.toFixed(1)} matches)`,
    'each filter that no index understands': `${figures.opaqueSqlNanoseconds.toFixed(0)} ns`,
    'put: median': `${figures.putMicroseconds.median.toFixed(1)} µs`,
    'put: p99.9': `${figures.putMicroseconds.p999.toFixed(0)} µs`,
    build: `${(figures.buildMs / 1000).toFixed(2)} s`,
    'index memory each': `${figures.indexBytesEach.toFixed(0)} B`,
    'whole process': `${(figures.rssBytes / 1024 ** 2).toFixed(0)} MiB`,
  };
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

if (process.argv[2] === '--child') {
  process.send?.(measureMatching(Number(process.argv[3])));
} else await main(process.argv.slice(2));
