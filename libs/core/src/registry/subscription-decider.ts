import type { CommandContext, Decider, Decision } from './decider.ts';
import { usesSecret } from '../signature/signature-settings.ts';
import { currentSpec } from './current-spec.ts';
import { expiresAtMs, isTerminal, lacksConsent } from './subscription-state.ts';
import type {
  PreviousSecret,
  SealedSecrets,
  Subscription,
  SubscriptionCommand,
  SubscriptionEvent,
  SubscriptionSpec,
  SubscriptionState,
} from './subscription.ts';
import { firstValidation, recordAnswer, recordRequest, validationAfterReplace } from './validation.ts';

type CommandOf<Kind extends SubscriptionCommand['kind']> = Extract<SubscriptionCommand, { kind: Kind }>;
type EventOf<Kind extends SubscriptionEvent['kind']> = Extract<SubscriptionEvent, { kind: Kind }>;
type Decided = Decision<SubscriptionEvent>;

/**
 * A subscription and its life: see {@link SubscriptionState}. A deleted one is gone: `undefined`.
 *
 * A command that says what is so already causes nothing, so that several processes can watch the same deadline.
 */
export const subscriptionDecider: Decider<Subscription, SubscriptionCommand, SubscriptionEvent> = {
  initialState: undefined,

  decide(command, state, context) {
    if (command.kind === 'CreateSubscription') {
      return state === undefined ? created(command, context) : alreadyExists(state);
    }
    if (state === undefined) return notFound();
    if (command.kind === 'DeleteSubscription') return caused({ kind: 'SubscriptionDeleted', ...told(context) });
    if (command.kind === 'ResealSecrets') return resealed(command, context); // nothing may stay behind with the old key
    return isTerminal(state) ? decideAtTheEnd(command, state) : decideInLife(command, state, context);
  },

  evolve(state, event) {
    if (event.kind === 'SubscriptionCreated') return evolveCreated(event);
    if (state === undefined) return undefined; // nothing comes back after a deletion
    if (event.kind === 'SubscriptionDeleted') return undefined;
    const revision = state.revision + (BESIDE_THE_REVISION.has(event.kind) ? 0 : 1);
    return { ...evolveExisting(state, event), revision, updatedAtMs: event.atMs };
  },
};

/** Events that change nothing which anybody asked for. */
const BESIDE_THE_REVISION: ReadonlySet<SubscriptionEvent['kind']> = new Set([
  'ValidationRequested',
  'ValidationRecorded',
  'SecretsResealed',
  'CredentialRefreshed',
]);

function created(command: CommandOf<'CreateSubscription'>, context: CommandContext): Decided {
  const { id, tenant, spec } = command;
  return caused({ kind: 'SubscriptionCreated', id, tenant, spec, ...sealedFor(spec, command), ...told(context) });
}

/** The only thing left is to say once more how it ended. */
function decideAtTheEnd(command: SubscriptionCommand, state: Subscription): Decided {
  const isRepeated =
    (command.kind === 'RetireSubscription' && state.state === 'retired') ||
    (command.kind === 'ExpireSubscription' && state.state === 'expired');
  if (isRepeated) return NOTHING;
  return conflict(`The subscription is ${state.state} for good; it can only be deleted.`);
}

type CommandInLife = Exclude<
  SubscriptionCommand,
  { kind: 'CreateSubscription' | 'DeleteSubscription' | 'ResealSecrets' }
>;

function decideInLife(command: CommandInLife, state: Subscription, context: CommandContext): Decided {
  switch (command.kind) {
    case 'ReplaceSubscription':
      return replaced(command, state, context);
    case 'RotateSecret':
      return rotated(command, state, context);
    case 'RefreshCredential':
      return credentialRefreshed(command, state, context);
    case 'PauseSubscription':
      if (state.state === 'paused') return NOTHING;
      if (state.state === 'disabled') return conflict('The subscription is disabled; resume it first.');
      return caused({
        kind: 'SubscriptionPaused',
        ...optional('reason', command.reason),
        ...optional('cause', command.cause),
        ...told(context),
      });
    case 'ResumeSubscription':
      if (state.state === 'active' || state.state === 'pending') return NOTHING;
      return caused({ kind: 'SubscriptionResumed', ...told(context) });
    case 'DisableSubscription':
      if (state.state === 'disabled') return NOTHING;
      return caused({
        kind: 'SubscriptionDisabled',
        reason: command.reason,
        ...optional('cause', command.cause),
        ...told(context),
      });
    case 'RetireSubscription':
      return caused({ kind: 'SubscriptionRetired', reason: command.reason, ...told(context) });
    case 'ExpireSubscription':
      return expired(command, state, context);
    case 'RequestValidation':
      return validationRequested(command, state, context);
    case 'RecordValidation':
      return validationRecorded(command, state, context);
  }
}

function replaced(command: CommandOf<'ReplaceSubscription'>, state: Subscription, context: CommandContext): Decided {
  const { spec } = command;
  const sealed = sealedFor(spec, command);
  if (Object.keys(sealed).length === 0 && sameSpec(spec, state.spec)) return NOTHING;
  return caused({ kind: 'SubscriptionReplaced', spec, ...sealed, ...told(context) });
}

function resealed({ kind: _kind, ...sealed }: CommandOf<'ResealSecrets'>, context: CommandContext): Decided {
  return caused({ kind: 'SecretsResealed', ...sealed, ...told(context) });
}

function credentialRefreshed(
  { replaces, sealedCredential }: CommandOf<'RefreshCredential'>,
  state: Subscription,
  context: CommandContext,
): Decided {
  if (state.sealedCredential === sealedCredential) return NOTHING;
  if (state.sealedCredential !== replaces) return conflict('The credential is another one by now.');
  return caused({ kind: 'CredentialRefreshed', sealedCredential, ...told(context) });
}

function rotated(
  { sealedSecret, graceUntilMs }: CommandOf<'RotateSecret'>,
  { spec: { config } }: Subscription,
  context: CommandContext,
): Decided {
  if (usesSecret(config.signature))
    return caused({ kind: 'SecretRotated', sealedSecret, graceUntilMs, ...told(context) });
  return conflict(`The subscription has no secret: its signature profile is "${config.signature.profile}".`);
}

/** Checked once more: whoever watched the limit may have watched it before somebody moved it. */
function expired(command: CommandOf<'ExpireSubscription'>, state: Subscription, context: CommandContext): Decided {
  const why = whyNotExpired(command, state, context.nowMs);
  if (why !== undefined) return conflict(`The subscription does not expire: ${why}.`);
  return caused({ kind: 'SubscriptionExpired', reason: command.reason, ...told(context) });
}

function whyNotExpired(
  { reason, maxEvents }: CommandOf<'ExpireSubscription'>,
  { spec, state, validation }: Subscription,
  nowMs: number,
): string | undefined {
  switch (reason) {
    case 'expires_at':
      return expiresAtMs(spec) <= nowMs ? undefined : 'its time has not come';
    case 'max_events':
      if (spec.config.maxEvents === undefined) return 'it has no limit of events';
      return maxEvents === undefined || maxEvents === spec.config.maxEvents ? undefined : 'its limit is another by now';
    case 'validation_deadline':
      if (state !== 'pending') return `it is ${state}`;
      return (validation.deadlineAtMs ?? Infinity) <= nowMs ? undefined : 'the deadline has not come';
  }
}

function validationRequested(
  { codeHash, deadlineAtMs }: CommandOf<'RequestValidation'>,
  { spec }: Subscription,
  context: CommandContext,
): Decided {
  if (spec.config.validation.mode === 'none') {
    return conflict('The sink is not to be asked: config.validation.mode is "none".');
  }
  return caused({ kind: 'ValidationRequested', codeHash, deadlineAtMs, ...told(context) });
}

function validationRecorded(
  { kind: _kind, codeHash, ...answer }: CommandOf<'RecordValidation'>,
  { validation }: Subscription,
  context: CommandContext,
): Decided {
  if (validation.codeHash === undefined) return conflict('The sink was not asked.');
  if (codeHash !== undefined && codeHash !== validation.codeHash) {
    return conflict('This answers a request that another one has replaced.');
  }
  return caused({ kind: 'ValidationRecorded', ...answer, ...told(context) });
}

function evolveCreated(event: EventOf<'SubscriptionCreated'>): Subscription {
  const { id, tenant, atMs } = event;
  const spec = currentSpec(event.spec);
  const validation = firstValidation(spec, atMs);
  const state = lacksConsent({ spec, validation }) ? 'pending' : 'active';
  const sealed = sealedFor(spec, event);
  return { id, tenant, spec, state, validation, ...sealed, revision: 1, createdAtMs: atMs, updatedAtMs: atMs };
}

type EventInLife = Exclude<SubscriptionEvent, { kind: 'SubscriptionCreated' | 'SubscriptionDeleted' }>;

function evolveExisting(before: Subscription, event: EventInLife): Subscription {
  switch (event.kind) {
    case 'SubscriptionReplaced':
      return evolveReplaced(before, event);
    case 'SecretRotated':
      return evolveRotated(before, event);
    case 'SecretsResealed':
      return { ...before, ...sealedFor(before.spec, event) };
    case 'CredentialRefreshed':
      return { ...before, sealedCredential: event.sealedCredential };
    case 'SubscriptionPaused':
      return inState(before, 'paused', event.reason);
    case 'SubscriptionResumed':
      return evolveResumed(before, event.atMs);
    case 'SubscriptionDisabled':
      return inState(before, 'disabled', event.reason);
    case 'SubscriptionRetired':
      return inState(before, 'retired', event.reason);
    case 'SubscriptionExpired':
      return inState(before, 'expired', event.reason);
    case 'ValidationRequested':
      return { ...before, validation: recordRequest(before.validation, event) };
    case 'ValidationRecorded':
      return awaitingConsent({ ...before, validation: recordAnswer(before, event) });
  }
}

function evolveReplaced(before: Subscription, event: EventOf<'SubscriptionReplaced'>): Subscription {
  const { sealedSecret, previousSecrets, sealedCredential, ...rest } = before;
  const spec = currentSpec(event.spec);
  const kept = event.sealedSecret === undefined ? { ...optional('previousSecrets', previousSecrets) } : {};
  return awaitingConsent({
    ...rest,
    spec,
    validation: validationAfterReplace(before, spec, event.atMs),
    ...sealedFor(spec, {
      ...optional('sealedSecret', sealedSecret),
      ...kept,
      ...optional('sealedCredential', sealedCredential),
      ...event,
    }),
  });
}

/** Secrets before the current one, at most; each adds a signature to every notification. */
const PREVIOUS_SECRETS_MAX = 3;

function evolveRotated(
  { previousSecrets: earlier = [], ...before }: Subscription,
  { sealedSecret, graceUntilMs, atMs }: EventOf<'SecretRotated'>,
): Subscription {
  const replaced: PreviousSecret[] =
    before.sealedSecret === undefined ? [] : [{ sealed: before.sealedSecret, graceUntilMs }];
  const isAtOnce = graceUntilMs <= atMs;
  const stillSigning = [...replaced, ...earlier].filter((one) => !isAtOnce && one.graceUntilMs > atMs);
  const previousSecrets = stillSigning.slice(0, PREVIOUS_SECRETS_MAX);
  return { ...before, sealedSecret, ...(previousSecrets.length === 0 ? {} : { previousSecrets }) };
}

/** A new start: a consent that is still missing is asked for again, with all the time for it. */
function evolveResumed(before: Subscription, atMs: number): Subscription {
  const resumed = inState(before, 'active');
  if (!lacksConsent(resumed)) return resumed;
  return awaitingConsent({ ...resumed, validation: firstValidation(resumed.spec, atMs) });
}

/** `active` or `pending`, by what is known of the sink's consent; every other state stays. */
function awaitingConsent(subscription: Subscription): Subscription {
  if (subscription.state !== 'active' && subscription.state !== 'pending') return subscription;
  return inState(subscription, lacksConsent(subscription) ? 'pending' : 'active');
}

function inState(
  { stateReason: _before, ...rest }: Subscription,
  state: SubscriptionState,
  reason?: string,
): Subscription {
  return { ...rest, state, ...optional('stateReason', reason) };
}

/** What a specification has no use for is forgotten: the secrets of an unsigned one, the credential of one without. */
function sealedFor(spec: SubscriptionSpec, sealed: SealedSecrets): SealedSecrets {
  const { sealedSecret, previousSecrets, sealedCredential } = sealed;
  return {
    ...(usesSecret(spec.config.signature)
      ? { ...optional('sealedSecret', sealedSecret), ...optional('previousSecrets', previousSecrets) }
      : {}),
    ...(spec.sinkcredential === undefined ? {} : optional('sealedCredential', sealedCredential)),
  };
}

function optional<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [N in Name]?: Value } {
  return (value === undefined ? {} : { [name]: value }) as { readonly [N in Name]?: Value };
}

/** Equal as data. An order of members that differs counts as a change, which costs one harmless event. */
function sameSpec(a: SubscriptionSpec, b: SubscriptionSpec): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

const NOTHING: Decided = { ok: true, events: [] };

function caused(event: SubscriptionEvent): Decided {
  return { ok: true, events: [event] };
}

function told({ nowMs, by }: CommandContext): { readonly atMs: number; readonly by: string } {
  return { atMs: nowMs, by };
}

function conflict(detail: string): Decided {
  return { ok: false, refusal: { code: 'conflict', detail } };
}

function alreadyExists(state: Subscription): Decided {
  return { ok: false, refusal: { code: 'already_exists', detail: `Subscription ${state.id} already exists.` } };
}

function notFound(): Decided {
  return { ok: false, refusal: { code: 'not_found', detail: 'There is no such subscription, or it is deleted.' } };
}
