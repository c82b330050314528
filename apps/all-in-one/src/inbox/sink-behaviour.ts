import { z } from 'zod';

/** How an inbox answers, from the query of the sink's URL: it can play a sink that is ill. */
export interface SinkBehaviour {
  /** The status of a bad answer. */
  readonly status: number;
  /** So many first attempts of each `webhook-id` get the bad answer; the rest get 204. */
  readonly times: number;
  /** Seconds; sent as Retry-After with a bad answer. */
  readonly retryAfterSeconds?: number;
  /** Milliseconds to wait before any answer. */
  readonly delayMs: number;
}

const number = (min: number, max: number) =>
  z
    .string('This must be given once.')
    .regex(/^\d{1,6}$/, `This must be a whole number, ${min} to ${max}.`)
    .transform(Number)
    .pipe(z.number().min(min, `This must be at least ${min}.`).max(max, `This must be at most ${max}.`));

/** `?status=500&times=2&retryAfterSeconds=5&delayMs=100`; nothing at all is a good sink. */
export const sinkBehaviourQuery = z
  .object({
    status: number(200, 599).optional(),
    times: number(0, 100_000).optional(),
    retryAfterSeconds: number(0, 86_400).optional(),
    delayMs: number(0, 60_000).default(0),
  })
  .transform(({ status, times, retryAfterSeconds, delayMs }): SinkBehaviour => ({
    status: status ?? 503,
    // Without a count a bad status is for good; without a status nothing is bad unless a count says so.
    times: times ?? (status === undefined && retryAfterSeconds === undefined ? 0 : Infinity),
    ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }),
    delayMs,
  }));

export interface SinkAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** @param attempt of this `webhook-id`, from 1 */
export function answerAs(behaviour: SinkBehaviour, attempt: number): SinkAnswer {
  if (attempt > behaviour.times) return { status: 204, headers: {} };
  const { status, retryAfterSeconds } = behaviour;
  return {
    status,
    headers: retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) },
  };
}
