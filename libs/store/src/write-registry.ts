import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { ApiKeyEvent } from '#core/registry/api-key';
import type { SubscriptionEvent } from '#core/registry/subscription';
import type { TenantEvent } from '#core/registry/tenant';
import type { Database, PgClient } from './database.ts';
import { jsonText, storableInstant, storableText } from './storable.ts';
import { unstorable, UnstorableRow } from './store-errors.ts';
import { writeBatch, type WriteResult } from './write-batch.ts';

/** A message of REGISTRY and its sequence there. */
export interface SequencedRecord {
  readonly seq: number;
  readonly record: RegistryRecord;
}

/**
 * Projects the registry for lists. Secrets and hashes stay out. Idempotent and commutative: the record with the highest
 * sequence says what holds, a deletion holds for ever (ids are not used again).
 *
 * @throws when the database can not take anything now; call again
 */
export function writeRegistry(db: Database, records: readonly SequencedRecord[]): Promise<WriteResult> {
  return writeBatch(db, records, {
    stream: 'REGISTRY',
    write: async (client, items) => {
      // A row per record: the registry changes rarely, and a fold here would be a second `evolve`.
      for (const item of [...items].sort((a, b) => a.seq - b.seq)) await writeRecord(client, item);
    },
  });
}

type ListedRecord = Exclude<RegistryRecord, { aggregate: 'redelivery' | 'signingkey' }>;

async function writeRecord(client: PgClient, { seq, record }: SequencedRecord): Promise<void> {
  // Jobs and keys are looked up in the fold of whoever runs or uses them.
  if (record.aggregate === 'redelivery' || record.aggregate === 'signingkey') return;
  const { text, row } = unstorable(() => toStatement(record));
  await client.query({ text, values: [JSON.stringify([{ ...row, record_seq: seq }])] });
}

function toStatement(record: ListedRecord): { text: string; row: Record<string, unknown> } {
  switch (record.aggregate) {
    case 'tenant':
      return { text: UPSERT_TENANT, row: { id: record.id, ...tenantColumns(record.event) } };
    case 'subscription':
      return {
        text: UPSERT_SUBSCRIPTION,
        row: { id: record.id, tenant: record.tenant, ...subscriptionColumns(record.event) },
      };
    case 'apikey':
      return { text: UPSERT_API_KEY, row: { id: record.id, tenant: record.tenant, ...apiKeyColumns(record.event) } };
    default:
      throw new UnstorableRow(`there is no aggregate ${JSON.stringify((record as { aggregate?: unknown }).aggregate)}`);
  }
}

function tenantColumns(event: TenantEvent) {
  const at = storableInstant(event.atMs);
  const name = storableText(event.name);
  return event.kind === 'TenantCreated' ? { name, created_at: at, updated_at: at } : { name, updated_at: at };
}

function subscriptionColumns(event: SubscriptionEvent) {
  const at = storableInstant(event.atMs);
  switch (event.kind) {
    case 'SubscriptionCreated':
      return { spec: jsonText(event.spec), created_at: at, updated_at: at };
    case 'SubscriptionReplaced':
      return { spec: jsonText(event.spec), updated_at: at };
    case 'SubscriptionDeleted':
      return { deleted_at: at, updated_at: at };
    case 'SubscriptionPaused':
    case 'SubscriptionResumed':
    case 'SubscriptionDisabled':
    case 'SubscriptionRetired':
    case 'SubscriptionExpired':
    case 'SecretRotated':
    case 'SecretsResealed':
    case 'CredentialRefreshed':
    case 'ValidationRequested':
    case 'ValidationRecorded':
      return { updated_at: at };
    default:
      throw new UnstorableRow(`there is no subscription event ${JSON.stringify((event as { kind?: unknown }).kind)}`);
  }
}

function apiKeyColumns(event: ApiKeyEvent) {
  const at = storableInstant(event.atMs);
  return event.kind === 'ApiKeyCreated'
    ? { name: storableText(event.name), scopes: jsonText(event.scopes), created_at: at }
    : { revoked_at: at };
}

const UPSERT_TENANT = `
  insert into tenants as t (id, name, created_at, updated_at, record_seq)
  select * from json_to_recordset($1) as r (
    id text, name text, created_at timestamptz, updated_at timestamptz, record_seq bigint)
  on conflict (id) do update set
    name = case when excluded.record_seq > t.record_seq then excluded.name else t.name end,
    created_at = coalesce(t.created_at, excluded.created_at),
    updated_at = greatest(t.updated_at, excluded.updated_at),
    record_seq = greatest(t.record_seq, excluded.record_seq)`;

/** `record_seq` is that of the newest specification: a deletion does not say one. */
const UPSERT_SUBSCRIPTION = `
  insert into subscriptions as s (id, tenant, spec, created_at, updated_at, deleted_at, record_seq)
  select id, tenant, spec::json, created_at, updated_at, deleted_at, case when spec is null then 0 else record_seq end
    from json_to_recordset($1) as r (
      id text, tenant text, spec text, created_at timestamptz, updated_at timestamptz, deleted_at timestamptz,
      record_seq bigint)
  on conflict (id) do update set
    spec = case when excluded.record_seq > s.record_seq then excluded.spec else s.spec end,
    created_at = coalesce(s.created_at, excluded.created_at),
    updated_at = greatest(s.updated_at, excluded.updated_at),
    deleted_at = coalesce(s.deleted_at, excluded.deleted_at),
    record_seq = greatest(s.record_seq, excluded.record_seq)`;

const UPSERT_API_KEY = `
  insert into api_keys as k (id, tenant, name, scopes, created_at, revoked_at)
  select id, tenant, name, scopes::json, created_at, revoked_at from json_to_recordset($1) as r (
    id text, tenant text, name text, scopes text, created_at timestamptz, revoked_at timestamptz)
  on conflict (id) do update set
    name = coalesce(k.name, excluded.name),
    scopes = coalesce(k.scopes, excluded.scopes),
    created_at = coalesce(k.created_at, excluded.created_at),
    revoked_at = coalesce(k.revoked_at, excluded.revoked_at)`;
