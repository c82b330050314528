import type { ValidationAsk, ValidationDeadline } from '#contracts/bus/validation';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Refusal } from '#core/registry/decider';
import type { Subscription, SubscriptionCommand } from '#core/registry/subscription';
import type { Caller } from '#platform/authenticate';
import { subscriptionAggregate, type RegistryState } from '../aggregates.ts';
import type { ExecuteCommand } from '../execute-command.ts';

/** What the use case needs from outside. */
export interface RequestValidationPorts {
  readonly state: RegistryState;
  readonly execute: ExecuteCommand;
  /** Stores the timer; one per subscription, a later one replaces it. */
  scheduleDeadline(deadline: ValidationDeadline, atMs: number): Promise<void>;
  publishAsk(ask: ValidationAsk): Promise<void>;
  /** A fresh secret for the callback URL. */
  newCode(): string;
  sha256Hex(text: string): string;
  now(): number;
}

export type ValidationRequest =
  | { readonly kind: 'requested'; readonly subscription: Subscription }
  | { readonly kind: 'not_due' }
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | { readonly kind: 'conflict' };

/** Asked for the state that the request would be decided on; false: somebody else was faster, or there is no need. */
export type IsDue = (subscription: Subscription) => boolean;

/** Requests the consent of a sink: recorded in REGISTRY first, then handed to delivery as a message. */
export type RequestValidation = (
  tenant: TenantId,
  id: SubscriptionId,
  caller: Caller,
  isDue?: IsDue,
) => Promise<ValidationRequest>;

/**
 * The hash of the code is recorded before anybody gets the code, so a callback always finds it. A crash in between leaves a
 * request whose code nobody has: the caller repeats, with a new code that replaces the lost one.
 */
export function makeRequestValidation(ports: RequestValidationPorts): RequestValidation {
  return async (tenant, id, caller, isDue = () => true) => {
    const code = ports.newCode();
    const codeHash = ports.sha256Hex(code);
    const deadline: ValidationDeadline = { kind: 'deadline', tenant, subscription: id, codeHash };
    const executed = await ports.execute(
      subscriptionAggregate(ports.state, tenant, id),
      caller,
      (state): SubscriptionCommand | undefined =>
        state === undefined || isDue(state) ? requestFor(state, codeHash) : undefined,
    );
    if (executed.kind !== 'done') return executed;
    const { after: subscription } = executed;
    const { deadlineAtMs } = subscription?.validation ?? {};
    if (subscription?.validation.codeHash !== codeHash || deadlineAtMs === undefined) return { kind: 'not_due' };
    await ports.scheduleDeadline(deadline, deadlineAtMs);
    await ports.publishAsk({ tenant, subscription: id, code, deadlineAtMs, ask: 1 });
    return { kind: 'requested', subscription };
  };

  function requestFor(state: Subscription | undefined, codeHash: string): SubscriptionCommand {
    const deadlineSeconds = state?.spec.config.validation.deadlineSeconds ?? 0;
    return { kind: 'RequestValidation', codeHash, deadlineAtMs: ports.now() + deadlineSeconds * 1000 };
  }
}
