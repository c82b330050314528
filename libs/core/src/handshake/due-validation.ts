import type { Subscription } from '../registry/subscription.ts';

/** Timers and messages do this work in time; what is this much late was lost with a process, and is done after all. */
const GRACE_MS = 30_000;

/**
 * What has to be done about a sink's consent by now, judged by nothing but the subscription's state:
 *
 * - `ask`: it was to be asked, and never was.
 * - `ask_again`: its consent is as old as `config.validation.revalidateSeconds`.
 * - `settle`: the deadline is over, and nobody has drawn the conclusion.
 */
export type DueValidation = 'ask' | 'ask_again' | 'settle';

export function dueValidation(subscription: Subscription, nowMs: number): DueValidation | undefined {
  const { state, validation, spec } = subscription;
  if (state !== 'active' && state !== 'pending') return undefined;
  const { requestedAtMs = 0, deadlineAtMs = Infinity, grantedAtMs = 0 } = validation;
  switch (validation.status) {
    case 'none':
      return undefined;
    case 'granted': {
      const { revalidateSeconds } = spec.config.validation;
      if (revalidateSeconds === undefined) return undefined;
      const lastMs = Math.max(grantedAtMs, requestedAtMs);
      return lastMs + revalidateSeconds * 1000 <= nowMs ? 'ask_again' : undefined;
    }
    case 'requested':
    case 'pending':
      if (validation.codeHash === undefined) return requestedAtMs + GRACE_MS <= nowMs ? 'ask' : undefined;
      return deadlineAtMs + GRACE_MS <= nowMs ? 'settle' : undefined;
    case 'denied':
    case 'unsupported':
      return state === 'pending' && deadlineAtMs + GRACE_MS <= nowMs ? 'settle' : undefined;
  }
}
