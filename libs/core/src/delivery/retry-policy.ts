/** The retry policy of a subscription as data. Durations in seconds, as on the wire (`config.retry`). */
export interface RetryPolicy {
  /** Delay before attempt 2, 3, …; `whenExhausted` says what follows the last entry. 1–100 entries, each 1 … 86 400 s. */
  readonly delaysSeconds: readonly number[];
  /** `repeat-last`: go on with the last delay until the deadline; `stop`: dead-letter after the last entry. */
  readonly whenExhausted: 'repeat-last' | 'stop';
  /** Attempts of a round in all, the first one included. 1 … 1000; absent: only delays and deadline limit them. */
  readonly maxAttempts?: number;
  /** Seconds after the event was accepted until which attempts may start. 60 … 86 400, default 86 400 (24 h). */
  readonly deadlineSeconds: number;
  /** Share of the delay that is random, to both sides: 0.2 gives 0.8–1.2 × delay. 0 … 0.5, default 0.2. */
  readonly jitter: number;
  /** Least delay after a status, whatever `delaysSeconds` says; 1 … 86 400 s. Default none beside delays of one's own. */
  readonly floorsSeconds: PerStatus<number>;
  /** Statuses that are not classified by the table, see `classify`. Absent: none. */
  readonly outcomes?: PerStatus<OutcomeOverride>;
}

/** By status (`404`) or by hundred (`4xx`); the status goes before its hundred. */
export type PerStatus<Value> = Readonly<Record<string, Value>>;

/** `retry`: go on with the schedule; `fail`: a dead letter at once. */
export type OutcomeOverride = 'retry' | 'fail';

/** What holds for a status, as {@link PerStatus} says. */
export function forStatus<Value>(values: PerStatus<Value>, status: number): Value | undefined {
  return values[String(status)] ?? values[`${Math.floor(status / 100)}xx`];
}

/**
 * | attempt | delay  | after the first attempt |
 * | ------- | ------ | ----------------------- |
 * | 2       | 10 s   | 10 s                    |
 * | 3       | 30 s   | 40 s                    |
 * | 4       | 1 min  | 1 min 40 s              |
 * | 5       | 5 min  | 6 min 40 s              |
 * | 6       | 10 min | 16 min 40 s             |
 * | 7       | 30 min | 46 min 40 s             |
 * | 8       | 1 h    | 1 h 46 min 40 s         |
 * | 9       | 3 h    | 4 h 46 min 40 s         |
 * | 10      | 6 h    | 10 h 46 min 40 s        |
 * | 11      | 6 h    | 16 h 46 min 40 s        |
 * | 12      | 6 h    | 22 h 46 min 40 s        |
 *
 * and then the deadline, 24 h after the event was accepted (D7). The floors matter only at its beginning: a sink that is
 * too slow, too busy or away for maintenance gets half a minute, and jitter takes nothing off the 10 s of a broken one.
 */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  delaysSeconds: [10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600],
  whenExhausted: 'repeat-last',
  deadlineSeconds: 86_400,
  jitter: 0.2,
  floorsSeconds: { 408: 30, 429: 30, 503: 30, '5xx': 10 },
};

/** The default schedule has floors; delays of one's own are what they are. */
export function defaultFloorsFor(delaysSeconds: readonly number[]): RetryPolicy['floorsSeconds'] {
  return isDefaultSchedule(delaysSeconds) ? DEFAULT_RETRY_POLICY.floorsSeconds : {};
}

export function isDefaultSchedule(delaysSeconds: readonly number[]): boolean {
  const defaults = DEFAULT_RETRY_POLICY.delaysSeconds;
  return delaysSeconds.length === defaults.length && delaysSeconds.every((delay, i) => delay === defaults[i]);
}
