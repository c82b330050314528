import type { CommandContext, Decider, Decision } from './decider.ts';
import type { SigningKey, SigningKeyCommand, SigningKeyEvent, SigningKeyState } from './signing-key.ts';

type Decided = Decision<SigningKeyEvent>;
type Step = Exclude<SigningKeyCommand['kind'], 'CreateSigningKey' | 'ResealSigningKey'>;

/** Where a step leads, and from where it may be taken. */
const STEPS = {
  PublishSigningKey: { to: 'published', from: ['created'] },
  ActivateSigningKey: { to: 'active', from: ['published'] },
  WithdrawSigningKey: { to: 'retiring', from: ['active'] },
  RetireSigningKey: { to: 'retired', from: ['created', 'published', 'retiring'] },
} as const satisfies Record<Step, { to: SigningKeyState; from: readonly SigningKeyState[] }>;

const EVENTS = {
  PublishSigningKey: 'SigningKeyPublished',
  ActivateSigningKey: 'SigningKeyActivated',
  WithdrawSigningKey: 'SigningKeyWithdrawn',
  RetireSigningKey: 'SigningKeyRetired',
} as const satisfies Record<Step, SigningKeyEvent['kind']>;

/** A signing key goes one way, from created to retired. A step that was taken already causes nothing. */
export const signingKeyDecider: Decider<SigningKey, SigningKeyCommand, SigningKeyEvent> = {
  initialState: undefined,

  decide(command, state, context) {
    if (command.kind === 'CreateSigningKey') {
      if (state !== undefined) return refused('already_exists', `Signing key ${state.id} already exists.`);
      return caused({ ...command, kind: 'SigningKeyCreated', ...told(context) });
    }
    if (state === undefined) return refused('not_found', 'There is no such signing key.');
    if (command.kind === 'ResealSigningKey') {
      if (state.sealedPrivateKey === undefined) return refused('conflict', 'The signing key is retired.');
      return caused({ kind: 'SigningKeyResealed', sealedPrivateKey: command.sealedPrivateKey, ...told(context) });
    }
    return decideStep(command.kind, state, context);
  },

  evolve(state, event) {
    if (event.kind === 'SigningKeyCreated') {
      const { id, tenant, algorithm, publicJwk, sealedPrivateKey, atMs } = event;
      return { id, tenant, algorithm, publicJwk, sealedPrivateKey, state: 'created', createdAtMs: atMs };
    }
    return state && evolveExisting(state, event);
  },
};

function decideStep(step: Step, { state }: SigningKey, context: CommandContext): Decided {
  const { to, from }: { to: SigningKeyState; from: readonly SigningKeyState[] } = STEPS[step];
  if (state === to) return { ok: true, events: [] };
  if (from.includes(state)) return caused({ kind: EVENTS[step], ...told(context) });
  return refused('conflict', `The signing key is ${state}; to become ${to} it has to be ${from.join(' or ')}.`);
}

function evolveExisting(key: SigningKey, event: Exclude<SigningKeyEvent, { kind: 'SigningKeyCreated' }>): SigningKey {
  switch (event.kind) {
    case 'SigningKeyPublished':
      return { ...key, state: 'published', publishedAtMs: event.atMs };
    case 'SigningKeyActivated':
      return { ...key, state: 'active', activatedAtMs: event.atMs };
    case 'SigningKeyWithdrawn':
      return { ...key, state: 'retiring', withdrawnAtMs: event.atMs };
    case 'SigningKeyRetired': {
      const { sealedPrivateKey: _forgotten, ...rest } = key;
      return { ...rest, state: 'retired', retiredAtMs: event.atMs };
    }
    case 'SigningKeyResealed':
      return { ...key, sealedPrivateKey: event.sealedPrivateKey };
  }
}

function caused(event: SigningKeyEvent): Decided {
  return { ok: true, events: [event] };
}

function told({ nowMs, by }: CommandContext): { readonly atMs: number; readonly by: string } {
  return { atMs: nowMs, by };
}

function refused(code: 'already_exists' | 'not_found' | 'conflict', detail: string): Decided {
  return { ok: false, refusal: { code, detail } };
}
