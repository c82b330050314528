import type { MakeKeyReply } from '#contracts/bus/seal';
import type { SigningKeyId, TenantId } from '#core/ids';
import type { SigningKey, SigningKeyCommand } from '#core/registry/signing-key';
import type { KeyAlgorithm } from '#core/signature/rfc9421';
import type { Caller } from '#platform/authenticate';
import { signingKeyAggregate, type SigningKeyFold } from './aggregates.ts';
import type { CommandFor, CommandOptions, ExecuteCommand } from './execute-command.ts';
import { conflict } from './problems.ts';

export interface SigningKeyPorts {
  readonly state: SigningKeyFold & { signingKeys(tenant: TenantId): Iterable<SigningKey> };
  readonly execute: ExecuteCommand;
  catchUp(): Promise<void>;
  /** Has the signer make a pair of keys. */
  makeKey(tenant: TenantId, algorithm: KeyAlgorithm): Promise<MakeKeyReply>;
}

export type SigningKeyWritten =
  | { readonly kind: 'written'; readonly key: SigningKey }
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'conflict' };

/** Commands that take a key one step on. */
export type SigningKeyStep = Extract<
  SigningKeyCommand,
  { kind: 'PublishSigningKey' | 'ActivateSigningKey' | 'WithdrawSigningKey' | 'RetireSigningKey' }
>['kind'];

/** Creates the keys of a tenant, and takes them through their life. */
export function makeSigningKeys(ports: SigningKeyPorts) {
  return { create, step, list, ensureActive };

  /**
   * @param isWanted asked again in the moment of writing, of the fold as it is then; absent: always
   * @returns `not_found` when it is not wanted any more
   */
  async function create(
    tenant: TenantId,
    algorithm: KeyAlgorithm,
    caller: Caller,
    isWanted?: () => boolean,
  ): Promise<SigningKeyWritten> {
    const made = await ports.makeKey(tenant, algorithm);
    const command = { kind: 'CreateSigningKey', tenant, algorithm, ...made } as const;
    return write(tenant, made.id, caller, () => (isWanted?.() === false ? undefined : command), {
      isExclusive: isWanted !== undefined,
    });
  }

  /**
   * An activated key takes the place of the one that is active: that one is withdrawn, and stays published.
   *
   * @param isWanted as for {@link create}
   */
  async function step(
    tenant: TenantId,
    id: SigningKeyId,
    kind: SigningKeyStep,
    caller: Caller,
    isWanted?: () => boolean,
  ): Promise<SigningKeyWritten> {
    const commandFor = () => (isWanted?.() === false ? undefined : { kind });
    const written = await write(tenant, id, caller, commandFor, { isExclusive: isWanted !== undefined });
    if (written.kind !== 'written' || kind !== 'ActivateSigningKey') return written;
    await withdrawOthers(written.key, caller);
    return { kind: 'written', key: ports.state.signingKey(tenant, id) ?? written.key };
  }

  /** Only while it is active itself: of two that are activated at once, neither would be left if each withdrew the other. */
  async function withdrawOthers({ id, tenant, algorithm }: SigningKey, caller: Caller): Promise<void> {
    const isActive = (): boolean => activeKeys(tenant, algorithm).some((key) => key.id === id);
    for (const other of activeKeys(tenant, algorithm)) {
      if (other.id !== id) await step(tenant, other.id, 'WithdrawSigningKey', caller, isActive);
    }
  }

  /** Newest first. */
  async function list(tenant: TenantId): Promise<readonly SigningKey[]> {
    await ports.catchUp();
    return [...ports.state.signingKeys(tenant)].toSorted(
      (a, b) => b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1),
    );
  }

  /**
   * Sees to it that a tenant has a key that signs. The first one is published and active at once: nobody knows another
   * that it would replace.
   *
   * @throws ProblemError 409 when others went on writing: whoever needs the key must not go on without it
   */
  async function ensureActive(tenant: TenantId, algorithm: KeyAlgorithm, caller: Caller): Promise<void> {
    await ports.catchUp();
    if (activeKeys(tenant, algorithm).length > 0) return;
    await create(tenant, algorithm, caller, () => candidate(tenant, algorithm) === undefined);
    const chosen = candidate(tenant, algorithm);
    if (chosen !== undefined && chosen.state !== 'active') {
      for (const kind of ['PublishSigningKey', 'ActivateSigningKey'] as const)
        await step(tenant, chosen.id, kind, caller);
    }
    if (activeKeys(tenant, algorithm).length === 0) throw conflict('signing key');
  }

  /** The active key, or one that is on its way to be it. */
  function candidate(tenant: TenantId, algorithm: KeyAlgorithm): SigningKey | undefined {
    const all = [...ports.state.signingKeys(tenant)].filter((key) => key.algorithm === algorithm);
    const [first] = ['active', 'published', 'created'].flatMap((state) => all.filter((key) => key.state === state));
    return first;
  }

  function activeKeys(tenant: TenantId, algorithm: KeyAlgorithm): SigningKey[] {
    return [...ports.state.signingKeys(tenant)].filter((key) => key.algorithm === algorithm && key.state === 'active');
  }

  async function write(
    tenant: TenantId,
    id: SigningKeyId,
    caller: Caller,
    commandFor: CommandFor<SigningKey, SigningKeyCommand>,
    options?: CommandOptions,
  ): Promise<SigningKeyWritten> {
    const executed = await ports.execute(signingKeyAggregate(ports.state, tenant, id), caller, commandFor, options);
    if (executed.kind === 'conflict') return executed;
    if (executed.kind === 'done')
      return executed.after ? { kind: 'written', key: executed.after } : { kind: 'not_found' };
    const { code, detail } = executed.refusal;
    return code === 'not_found' ? { kind: 'not_found' } : { kind: 'refused', detail };
  }
}
