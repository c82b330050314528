import { Migration } from '@mikro-orm/migrations';

/**
 * Events, deliveries, attempts and dead letters are partitioned by the UTC day on which the event was accepted: all rows of
 * one event lie in the same day, and retention drops whole days. There is no default partition: attaching a day
 * would have to scan it. Whoever writes makes the day first (`partitions.ts`).
 *
 * Indexes, each for one look-up:
 * - events: by id. A hash, since an id may be longer than an index entry (2.7 KB) can be.
 * - deliveries: by id (primary key, first column), a tenant's list, a subscription's list, and the few that are not
 *   delivered. The deliveries of an event are found through the event's instant and the tenant's list.
 * - attempts: only by their delivery.
 *
 * `step` and `fact_seq` are the version of what a row says: see `fold-facts.ts`.
 */
export class Migration20261122MainPath extends Migration {
  override name = 'Migration20261122MainPath';

  override up(): void {
    for (const statement of [EVENTS, DELIVERIES, ATTEMPTS, DEAD_LETTERS, REGISTRY, FAULTS]) this.addSql(statement);
  }
}

const EVENTS = `
  create table events (
    accepted_at timestamptz not null,
    seq bigint not null,
    tenant text not null,
    source text not null,
    id text not null,
    type text not null,
    attributes json,
    data_bytes integer,
    data_content_type text,
    match_count integer,
    primary key (accepted_at, seq)
  ) partition by range (accepted_at);
  create index events_by_id on events (tenant, hashtextextended(id, 0));`;

const DELIVERIES = `
  create table deliveries (
    id text not null,
    accepted_at timestamptz not null,
    tenant text not null,
    subscription text not null,
    event_seq bigint not null,
    source text,
    event_id text,
    type text,
    state text not null check (state in ('pending', 'retrying', 'delivered', 'dead')),
    next_attempt_at timestamptz,
    reason text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    step integer not null,
    fact_seq bigint not null,
    primary key (id, accepted_at)
  ) partition by range (accepted_at);
  create index deliveries_of_tenant on deliveries (tenant, accepted_at, id);
  create index deliveries_of_subscription on deliveries (subscription, accepted_at, id);
  create index deliveries_not_delivered on deliveries (tenant, state, accepted_at, id) where state <> 'delivered';`;

const ATTEMPTS = `
  create table attempts (
    accepted_at timestamptz not null,
    delivery text not null,
    number integer not null,
    tenant text not null,
    at timestamptz not null,
    duration_ms integer not null,
    outcome text,
    status integer,
    error text,
    message text,
    response_body text,
    response_truncated boolean,
    next text not null,
    next_attempt_at timestamptz,
    reason text,
    fact_seq bigint not null,
    primary key (accepted_at, delivery, number)
  ) partition by range (accepted_at);`;

const DEAD_LETTERS = `
  create table dead_letters (
    accepted_at timestamptz not null,
    id text not null,
    kind text not null check (kind in ('delivery', 'rejected')),
    tenant text not null,
    at timestamptz not null,
    event_seq bigint not null,
    delivery text,
    subscription text,
    source text,
    event_id text,
    type text,
    reason text,
    attempts integer,
    last_status integer,
    last_error text,
    subject text,
    violations json,
    fact_seq bigint not null,
    primary key (accepted_at, id)
  ) partition by range (accepted_at);
  create index dead_letters_of_tenant on dead_letters (tenant, at, id);`;

const REGISTRY = `
  create table tenants (
    id text primary key,
    name text not null,
    created_at timestamptz,
    updated_at timestamptz not null,
    record_seq bigint not null
  );
  create index tenants_in_order on tenants (created_at, id);
  create table subscriptions (
    id text primary key,
    tenant text not null,
    spec json,
    created_at timestamptz,
    updated_at timestamptz not null,
    deleted_at timestamptz,
    record_seq bigint not null
  );
  create index subscriptions_of_tenant on subscriptions (tenant, created_at, id) where deleted_at is null;
  create table api_keys (
    id text primary key,
    tenant text not null,
    name text,
    scopes json,
    created_at timestamptz,
    revoked_at timestamptz
  );
  create index api_keys_of_tenant on api_keys (tenant, created_at, id) where revoked_at is null;`;

const FAULTS = `
  create table projection_faults (
    stream text not null,
    seq bigint not null,
    at timestamptz not null,
    code text not null,
    detail text not null,
    primary key (stream, seq)
  );`;
