import { shownCredential } from '#contracts/http/sink-credential';
import { whatIsWrongWithSecretOf } from '#contracts/http/signature-settings';
import type { SubscriptionRequest } from '#contracts/http/subscription-body';
import type { Parsed, Violation } from '#contracts/http/violations';
import { usesJwt } from '#core/credential/authorization';
import { tokenEndpointOf, type SinkCredential } from '#core/credential/sink-credential';
import { timestampToUnixMs } from '#core/event/timestamp';
import { makeSubscriptionId, type SubscriptionId, type TenantId } from '#core/ids';
import { expiresAtMs, isTerminal } from '#core/registry/subscription-state';
import type { ShownCredential, Subscription, SubscriptionCommand, SubscriptionSpec } from '#core/registry/subscription';
import type { KeyAlgorithm } from '#core/signature/rfc9421';
import { keyAlgorithmOf, usesSecret } from '#core/signature/signature-settings';
import type { Caller } from '#platform/authenticate';
import { subscriptionAggregate, type RegistryState } from './aggregates.ts';
import { checkCredential } from './credentials/check-credential.ts';
import { checkClientCertificate, shownCertificate } from './credentials/client-certificate.ts';
import { checkSinksOf, type CheckSink } from './check-sink.ts';
import type { CommandFor, CommandOptions, ExecuteCommand } from './execute-command.ts';
import type { SubscriptionDirectory } from './subscription-directory.ts';

export interface SealedSecret {
  /** What is stored: only the signer opens it. */
  readonly sealed: string;
  /** What is shown, once. */
  readonly secret: string;
}

export interface WriteSubscriptionPorts {
  readonly state: RegistryState;
  readonly execute: ExecuteCommand;
  readonly directory: Pick<SubscriptionDirectory, 'withSink'>;
  catchUp(): Promise<void>;
  /** Has the signer seal a supplied secret, or a new one. */
  seal(tenant: TenantId, subscription: SubscriptionId, secret: string | undefined): Promise<SealedSecret>;
  /** Has the signer seal a credential. */
  sealCredential(tenant: TenantId, subscription: SubscriptionId, credential: SinkCredential): Promise<string>;
  /** Sees to it that the tenant has a key of the algorithm that signs. */
  ensureSigningKey(tenant: TenantId, algorithm: KeyAlgorithm, caller: Caller): Promise<void>;
  /** Why this installation does not deliver to a sink; empty when it does. */
  readonly checkSink: CheckSink;
  /** True when a sink may stand in one subscription of a tenant only (D11). */
  readonly isSinkUnique: boolean;
  now(): number;
  randomBytes(count: number): Uint8Array;
}

export type SubscriptionWritten =
  /** `secret` when this request set or generated one. */
  | {
      readonly kind: 'written';
      readonly subscription: Subscription;
      readonly secret?: string;
    }
  | Declined
  /** Its state does not allow it. */
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'conflict' };

/** Why nothing was even tried. */
export type Declined =
  | { readonly kind: 'invalid'; readonly violations: readonly Violation[] }
  | { readonly kind: 'sink_taken'; readonly by: SubscriptionId }
  /** The revision is not the one that the request was made for. */
  | { readonly kind: 'changed' }
  | { readonly kind: 'not_found' };

/** Who changes which subscription, and of which revision it has to be. */
export interface Target extends Caller {
  readonly tenant: TenantId;
  readonly id: SubscriptionId;
  readonly ifMatch?: ((revision: number) => boolean) | undefined;
}

/** Commands that need nothing but the subscription. */
export type LifecycleCommand = Extract<
  SubscriptionCommand,
  {
    kind:
      'PauseSubscription' | 'ResumeSubscription' | 'DisableSubscription' | 'RetireSubscription' | 'ExpireSubscription';
  }
>;

/** Creates, changes and deletes subscriptions (SA-1). */
export function makeWriteSubscriptions(ports: WriteSubscriptionPorts) {
  return { create, change, command, rotateSecret, remove, removeWithSink, checkSink: ports.checkSink };

  /** The id is ours, whatever the body says (SA-2). */
  async function create(tenant: TenantId, request: SubscriptionRequest, caller: Caller): Promise<SubscriptionWritten> {
    const id = makeSubscriptionId(ports.now(), ports.randomBytes(10));
    const prepare = async (): Promise<Prepared> => {
      const declined = whyDeclined(request, { tenant, id }, undefined);
      if (declined !== undefined) return declined;
      const { spec, ...sealed } = await seal(request, { tenant, id, ...caller }, undefined);
      return { command: { kind: 'CreateSubscription', id, tenant, spec, ...sealed.parts }, secret: sealed.secret };
    };
    return write({ tenant, id, ...caller }, prepare, { isExclusive: ports.isSinkUnique });
  }

  /**
   * Replaces the whole specification by what `requestFor` makes of the state. Secrets that it leaves out stay as they are.
   */
  async function change(
    target: Target,
    requestFor: (state: Subscription) => Parsed<SubscriptionRequest>,
  ): Promise<SubscriptionWritten> {
    const prepare = async (state: Subscription | undefined): Promise<Prepared> => {
      if (state === undefined) return { kind: 'not_found' };
      const request = requestFor(state);
      if (!request.ok) return { kind: 'invalid', violations: request.violations };
      if (isTerminal(state)) return { command: { kind: 'ReplaceSubscription', spec: state.spec } }; // to be refused
      const declined = whyDeclined(request.value, target, state);
      if (declined !== undefined) return declined;
      const { spec, ...sealed } = await seal(request.value, target, state);
      return { command: { kind: 'ReplaceSubscription', spec, ...sealed.parts }, secret: sealed.secret };
    };
    return write(target, prepare, { isExclusive: ports.isSinkUnique });
  }

  async function command(target: Target, wanted: LifecycleCommand): Promise<SubscriptionWritten> {
    return write(target, () => ({ command: wanted }));
  }

  /** Another secret, supplied or generated; the one before signs as well until its grace is over (SW-4). */
  async function rotateSecret(
    target: Target,
    { graceSeconds, secret: supplied }: { readonly graceSeconds: number; readonly secret?: string | undefined },
  ): Promise<SubscriptionWritten> {
    const { tenant, id } = target;
    return write(target, async (state) => {
      if (state === undefined) return { kind: 'not_found' };
      const { profile } = state.spec.config.signature;
      const detail = supplied === undefined ? undefined : whatIsWrongWithSecretOf(profile, supplied);
      if (detail !== undefined) return { kind: 'invalid', violations: [{ rule: 'SW-3', pointer: '/secret', detail }] };
      const { sealed: sealedSecret, secret } = await ports.seal(tenant, id, supplied);
      const graceUntilMs = ports.now() + graceSeconds * 1000;
      return { command: { kind: 'RotateSecret', sealedSecret, graceUntilMs }, secret };
    });
  }

  /** Gives the subscription as it was. */
  async function remove(target: Target, sink?: string): Promise<SubscriptionWritten> {
    const isAnother = (state: Subscription | undefined) => sink !== undefined && state?.spec.sink !== sink;
    return write(target, (state) =>
      isAnother(state) ? { kind: 'not_found' } : { command: { kind: 'DeleteSubscription' } },
    );
  }

  /** Deletes each subscription with this sink, and gives them as they were. */
  async function removeWithSink(
    tenant: TenantId,
    sink: string,
    caller: Caller,
  ): Promise<readonly SubscriptionWritten[]> {
    await ports.catchUp();
    const removed: SubscriptionWritten[] = [];
    for (const { id } of ports.directory.withSink(tenant, sink))
      removed.push(await remove({ tenant, id, ...caller }, sink));
    return removed.filter(({ kind }) => kind !== 'not_found');
  }

  async function write(
    { tenant, id, ifMatch, ...caller }: Target,
    prepare: (state: Subscription | undefined) => Prepared | Promise<Prepared>,
    options?: CommandOptions,
  ): Promise<SubscriptionWritten> {
    let declined: Declined | undefined;
    let secret: string | undefined;
    const commandFor: CommandFor<Subscription, SubscriptionCommand> = async (state) => {
      const isStale = state !== undefined && ifMatch?.(state.revision) === false;
      const prepared = isStale ? ({ kind: 'changed' } as const) : await prepare(state);
      declined = 'command' in prepared ? undefined : prepared;
      secret = 'command' in prepared ? prepared.secret : undefined;
      return 'command' in prepared ? prepared.command : undefined;
    };
    const aggregate = subscriptionAggregate(ports.state, tenant, id);
    const executed = await ports.execute(aggregate, caller, commandFor, options);
    if (executed.kind === 'conflict') return executed;
    if (executed.kind === 'refused') return refusedBy(executed.refusal);
    if (declined !== undefined) return declined;
    const subscription = executed.after ?? executed.before;
    if (subscription === undefined) return { kind: 'not_found' };
    return { kind: 'written', subscription, ...(secret === undefined ? {} : { secret }) };
  }

  /** What is over was hardly meant, and a token endpoint is reached like any sink. */
  function checkGiven(credential: SubscriptionRequest['credential']): readonly Violation[] {
    if (credential?.kind !== 'set') return [];
    const { credential: given } = credential;
    if (given.credentialtype === 'CLIENTCERTIFICATE') return checkClientCertificate(given, ports.now());
    const endpoint = tokenEndpointOf(given);
    const member = given.credentialtype === 'REFRESHTOKEN' ? 'refreshtokenendpoint' : 'tokenendpoint';
    return [
      ...(endpoint === undefined ? [] : ports.checkSink(endpoint, `/sinkcredential/${member}`)),
      ...checkTokenExpiry(given, ports.now()),
    ];
  }

  function whyDeclined(
    request: SubscriptionRequest,
    { tenant, id }: Pick<Target, 'tenant' | 'id'>,
    state: Subscription | undefined,
  ): Declined | undefined {
    const violations = [
      ...checkSinksOf({ ...request.spec.config, sink: request.spec.sink }, ports.checkSink),
      ...checkExpiry(request.spec, ports.now()),
      ...checkCredential(request, state),
      ...checkGiven(request.credential),
    ];
    if (violations.length > 0) return { kind: 'invalid', violations };
    const taken = ports.isSinkUnique ? holderOf(tenant, request.spec.sink, id) : undefined;
    return taken && { kind: 'sink_taken', by: taken.id };
  }

  /** One that has ended sends nothing any more, so it does not stand in the way. */
  function holderOf(tenant: TenantId, sink: string, id: SubscriptionId): Subscription | undefined {
    return ports.directory.withSink(tenant, sink).find((one) => one.id !== id && !isTerminal(one));
  }

  async function seal(
    { spec: wanted, secret, credential }: SubscriptionRequest,
    { tenant, id, ...caller }: Omit<Target, 'ifMatch'>,
    state: Subscription | undefined,
  ): Promise<Sealed> {
    const needsSecret =
      usesSecret(wanted.config.signature) && (secret !== undefined || state?.sealedSecret === undefined);
    const sealedSecret = needsSecret ? await ports.seal(tenant, id, secret) : undefined;
    const set = credential?.kind === 'set' ? credential.credential : undefined;
    const sealedCredential = set && (await ports.sealCredential(tenant, id, set));
    const kept = credential?.kind === 'remove' ? undefined : state?.spec.sinkcredential;
    const sinkcredential = set === undefined ? kept : shownOf(set);
    const spec = sinkcredential === undefined ? wanted : { ...wanted, sinkcredential };
    for (const algorithm of algorithmsOf(spec)) await ports.ensureSigningKey(tenant, algorithm, caller);
    return {
      spec,
      parts: {
        ...(sealedSecret === undefined ? {} : { sealedSecret: sealedSecret.sealed }),
        ...(sealedCredential === undefined ? {} : { sealedCredential }),
      },
      secret: sealedSecret?.secret,
    };
  }
}

/** Of the keys that its notifications and their tokens are signed with. */
function algorithmsOf(spec: SubscriptionSpec): ReadonlySet<KeyAlgorithm> {
  const ofSignature = keyAlgorithmOf(spec.config.signature);
  return new Set([
    ...(ofSignature === undefined ? [] : [ofSignature]),
    ...(usesJwt(spec) ? (['ecdsa-p256-sha256'] as const) : []),
  ]);
}

interface Sealed {
  readonly spec: SubscriptionSpec;
  readonly parts: { readonly sealedSecret?: string; readonly sealedCredential?: string };
  readonly secret: string | undefined;
}

type Prepared = Declined | { readonly command: SubscriptionCommand; readonly secret?: string | undefined };

function checkTokenExpiry(credential: SinkCredential, nowMs: number): readonly Violation[] {
  if (credential.credentialtype !== 'ACCESSTOKEN') return [];
  if ((timestampToUnixMs(credential.accesstokenexpiresutc) ?? 0) > nowMs) return [];
  const detail = 'The access token has expired; give one that has not.';
  return [{ rule: 'SA-10', pointer: '/sinkcredential/accesstokenexpiresutc', detail }];
}

function checkExpiry(spec: SubscriptionSpec, nowMs: number): readonly Violation[] {
  if (expiresAtMs(spec) > nowMs) return [];
  return [{ pointer: '/config/expiresAt', detail: 'This is in the past; leave it out, or name a later instant.' }];
}

function shownOf(credential: SinkCredential): ShownCredential {
  return credential.credentialtype === 'CLIENTCERTIFICATE' ? shownCertificate(credential) : shownCredential(credential);
}

function refusedBy({ code, detail }: { readonly code: string; readonly detail: string }): SubscriptionWritten {
  return code === 'not_found' ? { kind: 'not_found' } : { kind: 'refused', detail };
}
