import type { RedeliveriesQuery, RedeliveryBody } from '#contracts/http/redelivery-body';
import type { Violation } from '#contracts/http/violations';
import { makeRedeliveryId, type RedeliveryId, type SubscriptionId, type TenantId } from '#core/ids';
import type { Redelivery, RedeliverySelection } from '#core/registry/redelivery';
import type { Caller } from '#platform/authenticate';
import type { ExecuteCommand } from '../execute-command.ts';
import { redeliveryAggregate, type RedeliveryFold } from './redelivery-aggregate.ts';
import type { RedeliverySet } from './run-redelivery.ts';

export interface RequestRedeliveryPorts {
  /** The fold of REGISTRY, as far as it has come. */
  readonly state: RedeliveryFold & {
    redeliveries(tenant: TenantId): readonly Redelivery[];
    subscription(tenant: TenantId, id: SubscriptionId): unknown;
  };
  catchUp(): Promise<void>;
  readonly execute: ExecuteCommand;
  count(set: RedeliverySet): Promise<number>;
  now(): number;
  randomBytes(count: number): Uint8Array;
}

export type RedeliveryRequest =
  | { readonly kind: 'requested'; readonly job: Redelivery }
  /** A dry run. */
  | { readonly kind: 'counted'; readonly selection: RedeliverySelection; readonly count: number }
  | { readonly kind: 'invalid'; readonly violations: readonly Violation[] }
  | { readonly kind: 'subscription_unknown'; readonly subscription: SubscriptionId }
  | { readonly kind: 'too_many'; readonly running: readonly RedeliveryId[] }
  | { readonly kind: 'conflict' };

export type RedeliveryCancelled =
  | { readonly kind: 'cancelled'; readonly job: Redelivery }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'refused'; readonly detail: string }
  | { readonly kind: 'conflict' };

export interface RedeliveriesPage {
  readonly data: readonly Redelivery[];
  readonly next?: string;
}

/** Jobs of a tenant that may run at once: enough for one each subscription in trouble, and one tenant is not all of them. */
export const RUNNING_MAX = 10;
const DEFAULT_LIMIT = 50;

/** Requests, cancels and shows the redelivery jobs of a tenant. */
export function makeRedeliveries(ports: RequestRedeliveryPorts) {
  return { request, cancel, find, list };

  async function request(tenant: TenantId, wanted: RedeliveryBody, caller: Caller): Promise<RedeliveryRequest> {
    const nowMs = ports.now();
    const { subscription, dryRun, requestsPerMinute, note } = wanted;
    const selection = selectionOf(wanted, nowMs);
    const violations = violationsOf(wanted, nowMs);
    if (violations.length > 0) return { kind: 'invalid', violations };
    await ports.catchUp();
    if (subscription !== undefined && ports.state.subscription(tenant, subscription) === undefined) {
      return { kind: 'subscription_unknown', subscription };
    }
    const running = ports.state.redeliveries(tenant).filter(({ state }) => state === 'running');
    if (!dryRun && running.length >= RUNNING_MAX) return { kind: 'too_many', running: running.map(({ id }) => id) };
    const count = await ports.count({ tenant, selection, unchangedSinceMs: nowMs });
    if (dryRun) return { kind: 'counted', selection, count };

    const id = makeRedeliveryId(nowMs, ports.randomBytes(10));
    const executed = await ports.execute(redeliveryAggregate(ports.state, tenant, id), caller, () => ({
      kind: 'RequestRedelivery' as const,
      id,
      tenant,
      selection,
      requestsPerMinute,
      ...(note === undefined ? {} : { note }),
      count,
    }));
    if (executed.kind !== 'done' || executed.after === undefined) return { kind: 'conflict' };
    return { kind: 'requested', job: executed.after };
  }

  /** A job that is cancelled already stays so. */
  async function cancel(tenant: TenantId, id: RedeliveryId, caller: Caller): Promise<RedeliveryCancelled> {
    const aggregate = redeliveryAggregate(ports.state, tenant, id);
    const executed = await ports.execute(aggregate, caller, () => ({ kind: 'CancelRedelivery' }));
    if (executed.kind === 'conflict') return { kind: 'conflict' };
    if (executed.kind === 'done' && executed.after !== undefined) return { kind: 'cancelled', job: executed.after };
    if (executed.kind === 'refused' && executed.refusal.code === 'conflict') {
      return { kind: 'refused', detail: executed.refusal.detail };
    }
    return { kind: 'not_found' };
  }

  async function find(tenant: TenantId, id: RedeliveryId): Promise<Redelivery | undefined> {
    await ports.catchUp();
    return ports.state.redelivery(tenant, id);
  }

  /** Newest first: ids are made in the order of time. */
  async function list(tenant: TenantId, query: RedeliveriesQuery): Promise<RedeliveriesPage> {
    await ports.catchUp();
    const { state, limit = DEFAULT_LIMIT, after } = query;
    const entries = ports.state
      .redeliveries(tenant)
      .filter((job) => (state === undefined || job.state === state) && (after === undefined || job.id < after))
      .sort((a, b) => (a.id < b.id ? 1 : -1));
    const data = entries.slice(0, limit);
    return entries.length > limit ? { data, next: data.at(-1)?.id ?? '' } : { data };
  }
}

/** What is accepted from now on is not meant: the set is that of the request. */
function selectionOf({ states, subscription, reasons, types, since, until }: RedeliveryBody, nowMs: number) {
  return {
    states,
    ...(subscription === undefined ? {} : { subscription }),
    ...(reasons === undefined ? {} : { reasons }),
    ...(types === undefined ? {} : { types: [...new Set(types)] }),
    ...(since === undefined ? {} : { sinceMs: since }),
    untilMs: Math.min(until ?? nowMs, nowMs),
  };
}

function violationsOf({ since }: RedeliveryBody, nowMs: number): readonly Violation[] {
  if (since === undefined || since < nowMs) return [];
  return [{ pointer: '/since', detail: 'This is not in the past, and nothing has been accepted since then.' }];
}
