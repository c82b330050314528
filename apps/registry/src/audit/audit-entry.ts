import type { DeliveryRedelivered } from '#contracts/bus/facts';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { AuditResource } from '#contracts/http/audit';
import { WHAT as SUBSCRIPTION_WHAT } from '../subscription-history.ts';

type Kind<Aggregate extends RegistryRecord['aggregate']> = Extract<
  RegistryRecord,
  { aggregate: Aggregate }
>['event']['kind'];

/** Undefined: it goes on with what a command began, and is none itself. */
const WHAT: Readonly<Record<RegistryRecord['event']['kind'], string | undefined>> = {
  ...SUBSCRIPTION_WHAT,
  ...({ TenantCreated: 'created', TenantRenamed: 'renamed', TenantChanged: 'changed' } satisfies Told<'tenant'>),
  ...({ ApiKeyCreated: 'created', ApiKeyRevoked: 'revoked' } satisfies Told<'apikey'>),
  ...({
    SigningKeyCreated: 'created',
    SigningKeyPublished: 'published',
    SigningKeyActivated: 'activated',
    SigningKeyWithdrawn: 'withdrawn',
    SigningKeyRetired: 'retired',
    SigningKeyResealed: 'resealed',
  } satisfies Told<'signingkey'>),
  ...({
    RedeliveryRequested: 'requested',
    RedeliveryProgressed: undefined,
    RedeliveryCancelled: 'cancelled',
    RedeliveryCompleted: 'completed',
    RedeliveryFailed: 'failed',
  } satisfies Told<'redelivery'>),
};
type Told<Aggregate extends RegistryRecord['aggregate']> = Record<Kind<Aggregate>, string | undefined>;

/** Members of events that may be shown. What is not named here is not: what is sealed, hashes, and what is added one day. */
const SHOWN = [
  'name',
  'policy',
  'scopes',
  'prefix',
  'requestsPerMinute',
  'reason',
  'cause',
  'detail',
  'result',
  'via',
  'algorithm',
  'selection',
  'note',
  'count',
] as const;
const SHOWN_INSTANTS = { expiresAtMs: 'expiresAt', graceUntilMs: 'graceUntil', deadlineAtMs: 'deadlineAt' } as const;

/** What a record says of who did what; undefined when it is not a command's. */
export function auditEntryOf({ event, ...record }: RegistryRecord): AuditResource | undefined {
  const what = WHAT[event.kind];
  if (what === undefined) return undefined;
  const details = detailsOf(event);
  return {
    at: instant(event.atMs),
    by: event.by,
    ...fromOf(record),
    tenant: record.tenant,
    aggregate: record.aggregate,
    id: record.id,
    what,
    ...(Object.keys(details).length === 0 ? {} : { details }),
  };
}

/** A redelivery of one delivery is a fact only; what jobs do is told by the job. */
export function auditEntryOfRedelivered(fact: DeliveryRedelivered): AuditResource | undefined {
  if (fact.from === undefined) return undefined;
  const { tenant, delivery: id, by, atMs, subscription, attempt } = fact;
  const details = { subscription, attempt };
  return { at: instant(atMs), by, ...fromOf(fact), tenant, aggregate: 'delivery', id, what: 'redelivered', details };
}

function detailsOf(event: RegistryRecord['event']): Readonly<Record<string, unknown>> {
  const members = new Map<string, unknown>(Object.entries(event));
  const shown = SHOWN.filter((name) => members.has(name)).map((name) => [name, members.get(name)] as const);
  const instants = Object.entries(SHOWN_INSTANTS).flatMap(([name, as]) => {
    const ms = members.get(name);
    return typeof ms === 'number' ? [[as, instant(ms)] as const] : [];
  });
  const sink = 'spec' in event ? [['sink', event.spec.sink] as const] : [];
  return Object.fromEntries([...shown, ...instants, ...sink]);
}

function fromOf({ from }: { readonly from?: string }): { readonly from?: string } {
  return from === undefined ? {} : { from };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
