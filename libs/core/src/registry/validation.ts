import type { Subscription, SubscriptionEvent, SubscriptionSpec, Validation } from './subscription.ts';

type Requested = Extract<SubscriptionEvent, { kind: 'ValidationRequested' }>;
type Recorded = Extract<SubscriptionEvent, { kind: 'ValidationRecorded' }>;

/** Before the sink was ever asked: a request is due, unless it is not to be asked. */
export function firstValidation({ config: { validation } }: SubscriptionSpec, atMs: number): Validation {
  if (validation.mode === 'none') return { status: 'none', attempts: 0 };
  return {
    status: 'requested',
    attempts: 0,
    requestedAtMs: atMs,
    deadlineAtMs: atMs + validation.deadlineSeconds * 1000,
  };
}

/** A consent is one of this sink: another one is asked anew, and so is one that was not to be asked before (SA-7). */
export function validationAfterReplace(before: Subscription, spec: SubscriptionSpec, atMs: number): Validation {
  const isSameSink = spec.sink === before.spec.sink && spec.protocol === before.spec.protocol;
  const wasAsked = before.validation.status !== 'none';
  const isToBeAsked = spec.config.validation.mode !== 'none';
  if (isSameSink && wasAsked === isToBeAsked && !becomesRequired(before, spec)) return before.validation;
  return firstValidation(spec, atMs);
}

/** An optional answer that was not a consent is not the last word once consent is required. */
function becomesRequired({ spec: before, validation }: Subscription, spec: SubscriptionSpec): boolean {
  const isNew = before.config.validation.mode !== 'required' && spec.config.validation.mode === 'required';
  return isNew && validation.status !== 'granted';
}

/** A grant holds while the sink is asked again. */
export function recordRequest(before: Validation, { codeHash, deadlineAtMs, atMs }: Requested): Validation {
  const status = before.status === 'granted' ? 'granted' : 'requested';
  return { ...before, status, attempts: before.attempts + 1, codeHash, requestedAtMs: atMs, deadlineAtMs };
}

/**
 * What the sink's answer makes of its consent. Only a grant or a denial changes a grant: no answer in the headers says
 * nothing against the consent of before, and a proxy that answers OPTIONS itself for a moment must not stop deliveries.
 */
export function recordAnswer({ validation: before, spec }: Subscription, answer: Recorded): Validation {
  const { via, detail, atMs } = answer;
  const told = detail === undefined ? {} : { detail };
  switch (answer.result) {
    case 'granted':
      return {
        ...asked(before),
        status: 'granted',
        ...(answer.origin === undefined ? {} : { grantedOrigin: answer.origin }),
        ...(answer.allowedRate === undefined ? {} : { allowedRatePerMinute: answer.allowedRate }),
        grantedAtMs: atMs,
        via,
        ...told,
      };
    case 'denied': {
      const deadlineAtMs = atMs + spec.config.validation.deadlineSeconds * 1000;
      const fresh = before.status === 'granted' ? { deadlineAtMs } : {};
      return { ...asked(before), ...fresh, status: 'denied', via, ...told };
    }
    case 'pending':
    case 'unsupported':
      if (before.status === 'granted') return { ...before, ...told };
      // No grant, but what the tenant lets it have all the same (WH-10).
      return {
        ...asked(before),
        status: answer.result,
        ...(answer.allowedRate === undefined ? {} : { allowedRatePerMinute: answer.allowedRate }),
        via,
        ...told,
      };
  }
}

/** What stays of the requests, without what an earlier answer said. */
function asked({ attempts, codeHash, requestedAtMs, deadlineAtMs }: Validation): Omit<Validation, 'status'> {
  return {
    attempts,
    ...(codeHash === undefined ? {} : { codeHash }),
    ...(requestedAtMs === undefined ? {} : { requestedAtMs }),
    ...(deadlineAtMs === undefined ? {} : { deadlineAtMs }),
  };
}
