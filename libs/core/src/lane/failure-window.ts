import type { CircuitPolicy } from './circuit-policy.ts';

/** What one worker counts of one subscription. Constant memory; one call per request. */
export interface FailureWindow {
  /**
   * Counts a request that has ended; everything that is not delivered is a failure, a 401 as much as a timeout.
   *
   * @returns `trip` when the circuit has to open; the counts begin anew, so that a sink that has recovered is not held
   *   to what was before
   */
  record(nowMs: number, isDelivered: boolean, policy: CircuitPolicy): 'trip' | undefined;
  /** First failure since the last success; `undefined` when the last request succeeded, or none is remembered. */
  failingSinceMs(): number | undefined;
  /** Of the window that ends now, since it last tripped: for the health endpoint. */
  counts(nowMs: number): { readonly successes: number; readonly failures: number };
  /** Forgets everything: the circuit has opened or closed, whoever saw to it. */
  forgive(): void;
  /** True when forgetting it changes nothing that matters, see {@link makeFailureWindows}. */
  isIdle(nowMs: number): boolean;
}

/** The window moves on in steps of a tenth: it is 0.9 to 1.0 of the length that was asked for. */
const BUCKETS = 10;
/** A series of failures is forgotten when nothing more was sent for longer than any schedule waits. */
const FORGET_FAILING_MS = 86_400_000;

export function makeFailureWindow(): FailureWindow {
  const delivered = new Uint32Array(BUCKETS);
  const failed = new Uint32Array(BUCKETS);
  let bucketMs = 0;
  /** Number of the newest bucket, counted from the epoch. */
  let newest = 0;
  let successes = 0;
  let failures = 0;
  let consecutive = 0;
  let failingSince: number | undefined;
  let lastAtMs = 0;

  return {
    record(nowMs, isDelivered, policy) {
      const lengthMs = policy.windowSeconds * (1000 / BUCKETS);
      if (lengthMs !== bucketMs) restart(lengthMs);
      moveTo(nowMs);
      lastAtMs = nowMs;
      const at = newest % BUCKETS;
      if (isDelivered) {
        delivered[at] = (delivered[at] ?? 0) + 1;
        successes++;
        consecutive = 0;
        failingSince = undefined;
        return undefined;
      }
      failed[at] = (failed[at] ?? 0) + 1;
      failures++;
      consecutive++;
      failingSince ??= nowMs;
      if (!isTripped(policy)) return undefined;
      clear();
      return 'trip';
    },
    failingSinceMs: () => failingSince,
    counts(nowMs) {
      if (bucketMs > 0) moveTo(nowMs);
      return { successes, failures };
    },
    forgive() {
      clear();
      failingSince = undefined;
    },
    isIdle(nowMs) {
      const quietMs = failingSince === undefined ? bucketMs * BUCKETS : FORGET_FAILING_MS;
      return nowMs - lastAtMs > quietMs;
    },
  };

  function isTripped(policy: CircuitPolicy): boolean {
    if (consecutive >= policy.consecutiveFailures) return true;
    const requests = successes + failures;
    return requests >= policy.minimumRequests && failures >= requests * policy.failureRatio;
  }

  /** Empties the buckets that are left behind. A clock that was set back stays in the newest. */
  function moveTo(nowMs: number): void {
    const bucket = Math.floor(nowMs / bucketMs);
    if (bucket <= newest) return;
    for (let leaving = Math.max(newest + 1, bucket - BUCKETS + 1); leaving <= bucket; leaving++) {
      const at = leaving % BUCKETS;
      successes -= delivered[at] ?? 0;
      failures -= failed[at] ?? 0;
      delivered[at] = 0;
      failed[at] = 0;
    }
    newest = bucket;
  }

  function restart(lengthMs: number): void {
    const isFirst = bucketMs === 0;
    bucketMs = lengthMs;
    newest = 0;
    if (!isFirst) clear();
  }

  function clear(): void {
    delivered.fill(0);
    failed.fill(0);
    successes = 0;
    failures = 0;
    consecutive = 0;
  }
}

/** The windows of one worker, by subscription. */
export interface FailureWindows {
  /** Made when there is none. */
  of(subscription: string): FailureWindow;
  find(subscription: string): FailureWindow | undefined;
  /** The circuit has opened or closed, seen by whomever: what was counted before says nothing any more. */
  forget(subscription: string): void;
  /** Drops those that are idle: a window's length without a request, or a day when the last one failed. */
  prune(nowMs: number): void;
  size(): number;
}

export function makeFailureWindows(): FailureWindows {
  const windows = new Map<string, FailureWindow>();
  return {
    of(subscription) {
      let window = windows.get(subscription);
      if (window === undefined) {
        window = makeFailureWindow();
        windows.set(subscription, window);
      }
      return window;
    },
    find: (subscription) => windows.get(subscription),
    forget: (subscription) => void windows.delete(subscription),
    prune(nowMs) {
      for (const [subscription, window] of windows) if (window.isIdle(nowMs)) windows.delete(subscription);
    },
    size: () => windows.size,
  };
}
