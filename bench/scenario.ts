import { measure, type Measured, type RunFigures } from './measure.ts';
import type { BenchOptions } from './options.ts';

/** The runs that every scenario makes: warm up, as fast as it goes, and at a fixed rate. */
export async function runScenario(
  name: string,
  measured: Measured,
  { warmUp, events, rate, seconds }: BenchOptions,
  say: (line: string) => void,
): Promise<readonly RunFigures[]> {
  say(`${name}: warming up with ${warmUp} events`);
  await measure(measured, { count: warmUp });
  say(`${name}: ${events} events as fast as it goes`);
  const max = await measure(measured, { count: events });
  say(`${name}: ${rate} events/s for ${seconds} s`);
  const open = await measure(measured, { count: rate * seconds, ratePerSecond: rate });
  return [max, open];
}

/** Polls without a rush: asking costs CPU on the machine that is measured. */
export async function until(isSo: () => Promise<boolean>, timeoutMs: number): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await isSo())) {
    if (performance.now() > end) throw new Error(`not settled within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
