import type { SubscriptionRequest } from '#contracts/http/subscription-body';
import type { Violation } from '#contracts/http/violations';
import { makeSubscriptionId, type SubscriptionId, type TenantId } from '#core/ids';
import type { Subscription, SubscriptionCommand, SubscriptionSpec } from '#core/registry/subscription';
import { subscriptionAggregate, type RegistryState } from './aggregates.ts';
import type { ExecuteCommand } from './execute-command.ts';

export interface SealedSecret {
  /** What is stored: only the signer opens it. */
  readonly sealed: string;
  /** What is shown, once. */
  readonly secret: string;
}

export interface WriteSubscriptionPorts {
  readonly state: RegistryState;
  readonly execute: ExecuteCommand;
  /** Has the signer seal a supplied secret, or a new one. */
  seal(tenant: TenantId, subscription: SubscriptionId, secret: string | undefined): Promise<SealedSecret>;
  /** Why this installation does not deliver to a sink; empty when it does. */
  checkSink(sink: string): readonly Violation[];
  now(): number;
  randomBytes(count: number): Uint8Array;
}

export type SubscriptionWritten =
  /** `secret` when this request set or generated one. */
  | { readonly kind: 'written'; readonly subscription: Subscription; readonly secret?: string }
  | { readonly kind: 'invalid'; readonly violations: readonly Violation[] }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'conflict' };

interface Write {
  readonly tenant: TenantId;
  readonly request: SubscriptionRequest;
  readonly by: string;
}

/** Creates, replaces and deletes subscriptions (SA-1). */
export function makeWriteSubscriptions(ports: WriteSubscriptionPorts) {
  return { create, replace, remove };

  /** The id is ours, whatever the body says (SA-2). */
  async function create({ tenant, request, by }: Write): Promise<SubscriptionWritten> {
    const violations = ports.checkSink(request.spec.sink);
    if (violations.length > 0) return { kind: 'invalid', violations };
    const id = makeSubscriptionId(ports.now(), ports.randomBytes(10));
    const { spec } = request;
    const secret = isSigned(spec) ? await ports.seal(tenant, id, request.secret) : undefined;
    return write(tenant, id, by, () => ({
      command: { kind: 'CreateSubscription', id, tenant, spec, ...sealedPart(secret) },
      secret,
    }));
  }

  /** The whole specification is replaced; a secret that the body leaves out stays as it is. */
  async function replace(id: SubscriptionId, { tenant, request, by }: Write): Promise<SubscriptionWritten> {
    const violations = ports.checkSink(request.spec.sink);
    if (violations.length > 0) return { kind: 'invalid', violations };
    const { spec } = request;
    return write(tenant, id, by, async (state) => {
      const needsSecret = isSigned(spec) && (request.secret !== undefined || state?.sealedSecret === undefined);
      const secret = state && needsSecret ? await ports.seal(tenant, id, request.secret) : undefined;
      return { command: { kind: 'ReplaceSubscription', spec, ...sealedPart(secret) }, secret };
    });
  }

  /** Gives the subscription as it was. */
  async function remove(id: SubscriptionId, tenant: TenantId, by: string): Promise<SubscriptionWritten> {
    const aggregate = subscriptionAggregate(ports.state, tenant, id);
    const executed = await ports.execute(aggregate, by, () => ({ kind: 'DeleteSubscription' }));
    if (executed.kind !== 'done') return { kind: executed.kind === 'conflict' ? 'conflict' : 'not_found' };
    return executed.before ? { kind: 'written', subscription: executed.before } : { kind: 'not_found' };
  }

  async function write(
    tenant: TenantId,
    id: SubscriptionId,
    by: string,
    prepare: (state: Subscription | undefined) => Prepared | Promise<Prepared>,
  ): Promise<SubscriptionWritten> {
    let secret: SealedSecret | undefined;
    const executed = await ports.execute(subscriptionAggregate(ports.state, tenant, id), by, async (state) => {
      const prepared = await prepare(state);
      secret = prepared.secret;
      return prepared.command;
    });
    if (executed.kind !== 'done') return { kind: executed.kind === 'conflict' ? 'conflict' : 'not_found' };
    if (executed.after === undefined) return { kind: 'not_found' };
    return { kind: 'written', subscription: executed.after, ...(secret && { secret: secret.secret }) };
  }
}

interface Prepared {
  readonly command: SubscriptionCommand;
  readonly secret: SealedSecret | undefined;
}

function isSigned(spec: SubscriptionSpec): boolean {
  return spec.config.signature.profile !== 'none';
}

function sealedPart(secret: SealedSecret | undefined): { readonly sealedSecret?: string } {
  return secret === undefined ? {} : { sealedSecret: secret.sealed };
}
