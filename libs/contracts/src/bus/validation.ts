import type { AllowedRate } from '#core/handshake/allowed-rate';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { ValidationVia } from '#core/registry/subscription';

/** Asks delivery to ask a sink for its consent, JSON on VALIDATIONS (`validate.ask.<tenant>.<subscription>`). */
export interface ValidationAsk {
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  /** The secret of the callback URL. REGISTRY has its hash: the ask of a request that was replaced is recognised by it. */
  readonly code: string;
  /** Unix ms from which on an answer is of no use. */
  readonly deadlineAtMs: number;
  /** From 1; above that, the sink gave no answer before. */
  readonly ask: number;
}

/** What comes back to the registry, JSON on VALIDATIONS (`validate.told.<tenant>.<subscription>`). */
export type ValidationTold = ValidationAnswer | ValidationDeadline;

/** The sink's answer, from delivery; or its callback, from the gateway. */
export interface ValidationAnswer {
  readonly kind: 'answer';
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  /** Of the request that this answers. */
  readonly codeHash: string;
  readonly result: 'granted' | 'denied' | 'pending' | 'unsupported';
  readonly via: ValidationVia;
  readonly origin?: string;
  readonly allowedRate?: AllowedRate;
  readonly detail?: string;
}

/** The timer of a request: consent should be there by now. */
export interface ValidationDeadline {
  readonly kind: 'deadline';
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly codeHash: string;
}

export function encodeValidation(message: ValidationAsk | ValidationTold): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(message));
}

/** Deduplication id of an answer: a request is answered once in the OPTIONS exchange, and granted once by callback. */
export function answerMessageId({ codeHash, via }: Pick<ValidationAnswer, 'codeHash' | 'via'>): string {
  return `told:${codeHash}:${via === 'callback' ? 'callback' : 'answer'}`;
}

export function decodeValidationAsk(data: Uint8Array): ValidationAsk {
  return decode(data, ['tenant', 'subscription', 'code']) as ValidationAsk;
}

export function decodeValidationTold(data: Uint8Array): ValidationTold {
  return decode(data, ['kind', 'tenant', 'subscription', 'codeHash']) as ValidationTold;
}

function decode(data: Uint8Array, texts: readonly string[]): unknown {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
  } catch (cause) {
    throw new UnreadableValidation('it is not JSON', { cause });
  }
  const members = new Map(Object.entries(Object(value) as Record<string, unknown>));
  const missing = texts.find((name) => typeof members.get(name) !== 'string');
  if (missing !== undefined) throw new UnreadableValidation(`it has no text ${missing}`);
  return value;
}

/** A message on VALIDATIONS that no version of this software writes. */
export class UnreadableValidation extends Error {
  readonly code = 'validation.unreadable';

  constructor(why: string, options?: ErrorOptions) {
    super(`The message about a validation can not be read: ${why}.`, options);
  }
}
