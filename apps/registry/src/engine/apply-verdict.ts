import type { SubscriptionVerdict } from '#contracts/bus/facts';
import type { Subscription, SubscriptionCommand } from '#core/registry/subscription';
import { subscriptionAggregate, type RegistryState } from '../aggregates.ts';
import type { ExecuteCommand } from '../execute-command.ts';

/** By whom the registry's events say that they were caused, when delivery found out something. */
export const DELIVERY_ACTOR = 'delivery';

/**
 * `applied`: the subscription is disabled or paused now. `stale`: it is not the one that was looked at any more (deleted,
 * changed, resumed, or stopped already). `refused`: its state does not allow it.
 */
export type VerdictResult = 'applied' | 'stale' | 'refused';

export interface ApplyVerdictPorts {
  readonly state: RegistryState;
  readonly execute: ExecuteCommand;
}

/**
 * Carries out what delivery found out about a subscription. The same verdict may come any number of times and at any time:
 * it counts for one revision only, and carrying it out makes another one. What is dropped here and is still so is
 * found out again by delivery, with the revision of then.
 */
export function makeApplyVerdict({ state, execute }: ApplyVerdictPorts) {
  return async function applyVerdict(verdict: SubscriptionVerdict): Promise<VerdictResult> {
    const { tenant, subscription } = verdict;
    const aggregate = subscriptionAggregate(state, tenant, subscription);
    const executed = await execute(aggregate, { by: DELIVERY_ACTOR }, (now) => commandOf(verdict, now));
    switch (executed.kind) {
      case 'done':
        return executed.before?.revision === executed.after?.revision ? 'stale' : 'applied';
      case 'refused':
        return 'refused';
      case 'conflict':
        throw new Error(`others went on changing ${subscription}`);
    }
  };
}

function commandOf(verdict: SubscriptionVerdict, now: Subscription | undefined): SubscriptionCommand | undefined {
  if (now === undefined || now.revision !== verdict.revision) return undefined;
  const told = { reason: reasonOf(verdict), cause: verdict.reason };
  return verdict.verdict === 'disable'
    ? { kind: 'DisableSubscription', ...told }
    : { kind: 'PauseSubscription', ...told };
}

/** What stands in `stateReason`, for people. */
export function reasonOf({ reason, detail, atMs }: Pick<SubscriptionVerdict, 'reason' | 'detail' | 'atMs'>): string {
  if (reason === 'gone') return `The sink answered 410 Gone at ${new Date(atMs).toISOString()}.`;
  const sentence = detail.charAt(0).toUpperCase() + detail.slice(1);
  return sentence.endsWith('.') ? sentence : `${sentence}.`;
}
