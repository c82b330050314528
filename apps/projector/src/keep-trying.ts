import { setTimeout as delay } from 'node:timers/promises';

/** Pause after a failure; doubles with each one in a row up to the longest. */
const MIN_PAUSE_MS = 100;
const MAX_PAUSE_MS = 5000;

export interface KeepTryingOptions {
  /** Aborting ends the tries. */
  readonly signal: AbortSignal;
  /** Called for each failure. */
  readonly onFailure: (error: unknown) => void;
}

export type Tried<T> = { readonly done: true; readonly value: T } | { readonly done: false };

/** Repeats `work` until it succeeds, however long that takes. @returns `done: false` when it was told to stop first */
export async function keepTrying<T>(
  work: () => Promise<T>,
  { signal, onFailure }: KeepTryingOptions,
): Promise<Tried<T>> {
  for (let failures = 0; !signal.aborted;) {
    try {
      return { done: true, value: await work() };
    } catch (error) {
      onFailure(error);
      const pauseMs = Math.min(MIN_PAUSE_MS * 2 ** failures++, MAX_PAUSE_MS);
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
    }
  }
  return { done: false };
}
