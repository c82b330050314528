import { setTimeout as delay } from 'node:timers/promises';

/**
 * Polls until `probe` neither throws nor answers false, and returns what it answered.
 *
 * @param deadlineMs give up after this long, with the last reason
 */
export async function eventually<T>(
  probe: () => T | Promise<T>,
  { deadlineMs = 30_000, everyMs = 20 }: { deadlineMs?: number; everyMs?: number } = {},
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + deadlineMs;
  let last: unknown = 'the probe answered false';
  do {
    try {
      const answer = await probe();
      if (answer !== false && answer !== undefined) return answer as Exclude<T, false | undefined>;
      last = `the probe answered ${String(answer)}`;
    } catch (error) {
      last = error;
    }
    await delay(everyMs);
  } while (performance.now() < end);
  throw last instanceof Error ? last : new Error(`not within ${deadlineMs} ms: ${String(last)}`);
}
