/**
 * How often a property is tried: few times in the daily run, `POSTHASTE_FUZZ_RUNS` times in a fuzz run.
 *
 * @param weight what one try costs, in tries of a cheap property
 */
export function fuzzRuns(daily: number, weight = 1): number {
  const wanted = Number(process.env['POSTHASTE_FUZZ_RUNS'] ?? 0);
  return Math.max(daily, Math.round(wanted / weight));
}
