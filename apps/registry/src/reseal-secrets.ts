import type { Resealed, SealedThing } from '#contracts/bus/seal';
import type { SigningKey, SigningKeyCommand } from '#core/registry/signing-key';
import type { Subscription, SubscriptionCommand } from '#core/registry/subscription';
import type { Caller } from '#platform/authenticate';
import { signingKeyAggregate, subscriptionAggregate, type RegistryState, type SigningKeyFold } from './aggregates.ts';
import type { ExecuteCommand } from './execute-command.ts';

export interface ResealPorts {
  readonly state: RegistryState &
    SigningKeyFold & {
      subscriptions(): Iterable<Subscription>;
      signingKeys(): Iterable<SigningKey>;
    };
  readonly execute: ExecuteCommand;
  catchUp(): Promise<void>;
  /** Has the signer seal with its first master key what others sealed. In the order of the questions. */
  reseal(things: readonly SealedThing[]): Promise<readonly Resealed[]>;
}

/** Counts of subscriptions and signing keys. */
export interface Resealing {
  readonly resealed: number;
  /** Nothing to do: sealed with the master key of now, or nothing sealed. */
  readonly current: number;
  /** Something of theirs can not be opened; it stays as it is. */
  readonly failed: readonly string[];
}

type Outcome = 'resealed' | 'current' | 'failed';

/**
 * Seals everything with the master key that the signer seals with now, one after the other, while deliveries go on: the
 * signer opens both. When nothing failed, the old master key is not needed any more.
 */
export function makeResealSecrets({
  state,
  execute,
  catchUp,
  reseal,
}: ResealPorts): (caller: Caller) => Promise<Resealing> {
  return async (caller) => {
    await catchUp();
    const outcomes: [string, Outcome][] = [];
    for (const one of state.subscriptions()) outcomes.push([one.id, await resealSubscription(one, caller)]);
    for (const key of state.signingKeys()) outcomes.push([key.id, await resealKey(key, caller)]);
    const count = (outcome: Outcome) => outcomes.filter(([, other]) => other === outcome).length;
    const failed = outcomes.filter(([, outcome]) => outcome === 'failed').map(([id]) => id);
    return { resealed: count('resealed'), current: count('current'), failed };
  };

  /** Made of the state that the command is decided on, so that no secret is lost that is set meanwhile. */
  async function resealSubscription({ tenant, id }: Subscription, caller: Caller): Promise<Outcome> {
    let outcome: Outcome = 'current';
    const executed = await execute(subscriptionAggregate(state, tenant, id), caller, async (now) => {
      const things = now === undefined ? [] : sealedThingsOf(now);
      const answers = things.length === 0 ? [] : await reseal(things);
      outcome = outcomeOf(answers);
      return now !== undefined && outcome === 'resealed' ? commandOf(now, answers) : undefined;
    });
    return executed.kind === 'done' ? outcome : 'failed';
  }

  async function resealKey({ tenant, id }: SigningKey, caller: Caller): Promise<Outcome> {
    let outcome: Outcome = 'current';
    const executed = await execute(
      signingKeyAggregate(state, tenant, id),
      caller,
      async (now): Promise<SigningKeyCommand | undefined> => {
        const sealed = now?.sealedPrivateKey;
        const answers = sealed === undefined ? [] : await reseal([{ tenant, sealed, of: { signingKey: id } }]);
        outcome = outcomeOf(answers);
        const [answer] = answers;
        return answer?.kind === 'resealed' ? { kind: 'ResealSigningKey', sealedPrivateKey: answer.sealed } : undefined;
      },
    );
    return executed.kind === 'done' ? outcome : 'failed';
  }
}

/** `failed` when one can not be opened, though others can: the old master key is still needed. */
function outcomeOf(answers: readonly Resealed[]): Outcome {
  if (answers.some(({ kind }) => kind === 'failed')) return 'failed';
  return answers.some(({ kind }) => kind === 'resealed') ? 'resealed' : 'current';
}

/** All that is sealed of a subscription, in an order that {@link commandOf} knows. */
function sealedThingsOf({ id: subscription, tenant, ...sealed }: Subscription): SealedThing[] {
  const { sealedSecret, previousSecrets = [], sealedCredential } = sealed;
  const secrets = [...(sealedSecret === undefined ? [] : [sealedSecret]), ...previousSecrets.map((one) => one.sealed)];
  const credentials = sealedCredential === undefined ? [] : [sealedCredential];
  return [
    ...secrets.map((text) => ({ tenant, sealed: text, of: { subscription } })),
    ...credentials.map((text) => ({ tenant, sealed: text, of: { subscription, purpose: 'credential' as const } })),
  ];
}

function commandOf(now: Subscription, answers: readonly Resealed[]): SubscriptionCommand {
  const rest = [...answers];
  const next = (before: string): string => {
    const answer = rest.shift();
    return answer?.kind === 'resealed' ? answer.sealed : before;
  };
  const { sealedSecret, previousSecrets, sealedCredential } = now;
  return {
    kind: 'ResealSecrets',
    ...(sealedSecret === undefined ? {} : { sealedSecret: next(sealedSecret) }),
    ...(previousSecrets === undefined
      ? {}
      : { previousSecrets: previousSecrets.map((one) => ({ ...one, sealed: next(one.sealed) })) }),
    ...(sealedCredential === undefined ? {} : { sealedCredential: next(sealedCredential) }),
  };
}
