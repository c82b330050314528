import type { ValidationAnswer, ValidationDeadline, ValidationTold } from '#contracts/bus/validation';
import type { AllowedRate } from '#core/handshake/allowed-rate';
import type { TenantId } from '#core/ids';
import type { Subscription, SubscriptionCommand, ValidationVia } from '#core/registry/subscription';
import { subscriptionAggregate, type RegistryState } from '../aggregates.ts';
import type { ExecuteCommand } from '../execute-command.ts';
import { VALIDATION_ACTOR } from './react-to-change.ts';

export interface RecordToldPorts {
  readonly state: RegistryState;
  readonly execute: ExecuteCommand;
  /** Notifications per minute that the tenant lets a sink have which does not know the handshake (WH-10). */
  unsupportedRate(tenant: TenantId): AllowedRate;
  now(): number;
}

/** `early`: the deadline has not come by this machine's clock; ask again after so many milliseconds. */
export type Recorded = { readonly kind: 'recorded' | 'stale' } | { readonly kind: 'early'; readonly waitMs: number };

/** Records what a sink said, or that its time is over. The same message again changes nothing. */
export function makeRecordTold(ports: RecordToldPorts) {
  return async function recordTold(told: ValidationTold): Promise<Recorded> {
    switch (told.kind) {
      case 'answer':
        return execute(told, (subscription) => answerCommand(told, subscription));
      case 'deadline': {
        const waitMs = (current(told)?.validation.deadlineAtMs ?? 0) - ports.now();
        if (waitMs > 0 && current(told)?.validation.codeHash === told.codeHash) return { kind: 'early', waitMs };
        return execute(told, deadlineCommand);
      }
    }
  };

  function current({ tenant, subscription }: ValidationTold): Subscription | undefined {
    return ports.state.subscription(tenant, subscription);
  }

  /** Those who were told of a request that was replaced, or of a subscription that is gone, are late: nothing follows. */
  async function execute(
    { tenant, subscription: id, codeHash }: ValidationAnswer | ValidationDeadline,
    commandFor: (subscription: Subscription) => SubscriptionCommand | undefined,
  ): Promise<Recorded> {
    const decided = { isStale: false };
    const executed = await ports.execute(
      subscriptionAggregate(ports.state, tenant, id),
      { by: VALIDATION_ACTOR },
      (state) => {
        const command = state?.validation.codeHash === codeHash ? commandFor(state) : undefined;
        decided.isStale = command === undefined;
        return command;
      },
    );
    if (executed.kind === 'conflict') throw new Error(`others went on changing ${id}`);
    return { kind: decided.isStale || executed.kind === 'refused' ? 'stale' : 'recorded' };
  }

  function answerCommand(
    answer: ValidationAnswer,
    { spec, tenant, validation }: Subscription,
  ): SubscriptionCommand | undefined {
    const { codeHash, result, via, origin, detail } = answer;
    // The callback came while the sink was still answering OPTIONS without headers: it has consented.
    if (result !== 'granted' && validation.status === 'granted' && validation.via === 'callback') {
      if ((validation.grantedAtMs ?? 0) >= (validation.requestedAtMs ?? 0)) return undefined;
    }
    // The deadline has closed the question; only consent or refusal changes that.
    const isClosed = validation.status === 'unsupported' && ports.now() >= (validation.deadlineAtMs ?? Infinity);
    if (result === 'pending' && isClosed) return undefined;
    const isUnsure = result === 'unsupported' || result === 'pending';
    const isSentAnyway = isUnsure && spec.config.validation.mode === 'optional';
    const allowedRate = isSentAnyway ? ports.unsupportedRate(tenant) : answer.allowedRate;
    return {
      kind: 'RecordValidation',
      codeHash,
      result,
      via,
      ...(origin === undefined ? {} : { origin }),
      ...(allowedRate === undefined ? {} : { allowedRate }),
      ...(detail === undefined ? {} : { detail }),
    };
  }

  function deadlineCommand(subscription: Subscription): SubscriptionCommand | undefined {
    const { state, validation, spec, tenant } = subscription;
    if (state === 'pending') return { kind: 'ExpireSubscription', reason: 'validation_deadline' };
    const isOpen = validation.status === 'requested' || validation.status === 'pending';
    if (!isOpen || validation.codeHash === undefined) return undefined;
    return {
      kind: 'RecordValidation',
      codeHash: validation.codeHash,
      result: 'unsupported',
      via: validation.via ?? viaOf(subscription),
      ...(spec.config.validation.mode === 'optional' ? { allowedRate: ports.unsupportedRate(tenant) } : {}),
      detail: 'No consent came before the deadline.',
    };
  }
}

function viaOf({ spec }: Subscription): ValidationVia {
  const { method } = spec.config.validation;
  return method === 'webhook' ? 'options' : method;
}
