/*
 * A sender that got a 2xx never sends again. So a 2xx may only be said after the work is done and durable, and recorded as
 * done; everything before that has to be something else, or the notification is lost when this process ends.
 */

/** Whose turn it is. */
export type Claim =
  /** Yours, until the lease ends. */
  | { readonly state: 'claimed'; readonly token: string }
  /** It was done before. */
  | { readonly state: 'completed' }
  /** Somebody else is at it. */
  | { readonly state: 'in_progress' };

/**
 * What was handled. Every method is atomic, and durable when it returns.
 *
 * A claim ends by itself after its lease, so that a process that ended in the middle blocks nothing; who comes later then
 * takes it over with another token.
 */
export interface IdempotencyStore {
  claim(id: string, leaseMs: number): Promise<Claim>;
  /** Records that it was done. @returns false when the claim is not ours any more: then somebody else may do it again */
  complete(id: string, token: string): Promise<boolean>;
  /** Gives the claim back, undone; nothing happens when it is not ours any more. */
  release(id: string, token: string): Promise<void>;
}

export interface HandleOnceOptions {
  readonly store: IdempotencyStore;
  /** `idempotencyKey` of the verified notification. */
  readonly id: string;
  /** Longer than the work ever takes. Default 60 s. */
  readonly leaseMs?: number;
}

/** What became of it, and what to answer. The only 2xx are those of `handled` and `duplicate`. */
export type HandledOnce =
  | { readonly outcome: 'handled' | 'duplicate'; readonly status: 204 }
  /** Another request is at it and may still fail: the sender has to come again. */
  | { readonly outcome: 'in_progress'; readonly status: 503; readonly retryAfterSeconds: number }
  /** The work, or recording it, failed: the sender has to come again. */
  | { readonly outcome: 'failed'; readonly status: 500; readonly error: unknown };

const DEFAULT_LEASE_MS = 60_000;
const RETRY_AFTER_SECONDS = 5;

/**
 * Does the work of a notification once, as far as that can be: work and record are two steps, so the end of this process
 * between them makes it twice. With both in one transaction (see the Postgres store) it is exactly once.
 *
 * Nothing is thrown: what went wrong is in the result, with a status that makes the sender come again.
 *
 * @param work what makes the notification durable. It has to be, when the promise resolves
 */
export async function handleOnce(
  { store, id, leaseMs = DEFAULT_LEASE_MS }: HandleOnceOptions,
  work: () => Promise<void>,
): Promise<HandledOnce> {
  try {
    const claim = await store.claim(id, leaseMs);
    if (claim.state === 'completed') return { outcome: 'duplicate', status: 204 };
    if (claim.state === 'in_progress')
      return { outcome: 'in_progress', status: 503, retryAfterSeconds: RETRY_AFTER_SECONDS };
    await workOrRelease({ store, id, token: claim.token }, work);
    const isRecorded = await store.complete(id, claim.token);
    return isRecorded
      ? { outcome: 'handled', status: 204 }
      : {
          outcome: 'failed',
          status: 500,
          error: new Error(`The work of ${id} took longer than its lease of ${leaseMs} ms.`),
        };
  } catch (error) {
    return { outcome: 'failed', status: 500, error };
  }
}

interface HeldClaim {
  readonly store: IdempotencyStore;
  readonly id: string;
  readonly token: string;
}

async function workOrRelease({ store, id, token }: HeldClaim, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    await store.release(id, token).catch(() => undefined); // the lease ends it as well; the first error is the one to tell
    throw error;
  }
}
