import type { CommandContext, Decider, Decision } from './decider.ts';
import type { Subscription, SubscriptionCommand, SubscriptionEvent, SubscriptionSpec } from './subscription.ts';

type Create = Extract<SubscriptionCommand, { kind: 'CreateSubscription' }>;
type Replace = Extract<SubscriptionCommand, { kind: 'ReplaceSubscription' }>;

/** A subscription is created, replaced as a whole and deleted. A deleted one is gone: `undefined`. */
export const subscriptionDecider: Decider<Subscription, SubscriptionCommand, SubscriptionEvent> = {
  initialState: undefined,

  decide(command, state, context) {
    switch (command.kind) {
      case 'CreateSubscription':
        return state === undefined ? created(command, context) : alreadyExists(state);
      case 'ReplaceSubscription':
        return state === undefined ? notFound() : replaced(command, state, context);
      case 'DeleteSubscription':
        return state === undefined
          ? notFound()
          : { ok: true, events: [{ kind: 'SubscriptionDeleted', atMs: context.nowMs, by: context.by }] };
    }
  },

  evolve(state, event) {
    switch (event.kind) {
      case 'SubscriptionCreated': {
        const { id, tenant, spec, atMs } = event;
        return { id, tenant, spec, ...secretFor(spec, event.sealedSecret), createdAtMs: atMs, updatedAtMs: atMs };
      }
      case 'SubscriptionReplaced': {
        if (state === undefined) return undefined; // nothing comes back after a deletion
        const { id, tenant, createdAtMs } = state;
        const { spec, atMs } = event;
        const secret = secretFor(spec, event.sealedSecret ?? state.sealedSecret);
        return { id, tenant, spec, ...secret, createdAtMs, updatedAtMs: atMs };
      }
      case 'SubscriptionDeleted':
        return undefined;
    }
  },
};

function created(command: Create, { nowMs, by }: CommandContext): Decision<SubscriptionEvent> {
  const { id, tenant, spec } = command;
  const secret = secretFor(spec, command.sealedSecret);
  return { ok: true, events: [{ kind: 'SubscriptionCreated', id, tenant, spec, ...secret, atMs: nowMs, by }] };
}

function replaced(command: Replace, state: Subscription, context: CommandContext): Decision<SubscriptionEvent> {
  const { spec } = command;
  if (command.sealedSecret === undefined && sameSpec(spec, state.spec)) return { ok: true, events: [] };
  const secret = secretFor(spec, command.sealedSecret);
  const event = { kind: 'SubscriptionReplaced', spec, ...secret, atMs: context.nowMs, by: context.by } as const;
  return { ok: true, events: [event] };
}

/** An unsigned subscription holds no secret: one that it had is forgotten. */
function secretFor(spec: SubscriptionSpec, sealedSecret: string | undefined): { readonly sealedSecret?: string } {
  return sealedSecret === undefined || spec.config.signature.profile === 'none' ? {} : { sealedSecret };
}

/** Equal as data. An order of members that differs counts as a change, which costs one harmless event. */
function sameSpec(a: SubscriptionSpec, b: SubscriptionSpec): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function alreadyExists(state: Subscription): Decision<SubscriptionEvent> {
  return { ok: false, refusal: { code: 'already_exists', detail: `Subscription ${state.id} already exists.` } };
}

function notFound(): Decision<SubscriptionEvent> {
  return { ok: false, refusal: { code: 'not_found', detail: 'There is no such subscription, or it is deleted.' } };
}
