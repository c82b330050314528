import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import type { Fact } from '#contracts/bus/facts';
import type { DeadReason } from '#core/delivery/outcome';
import type { DeliveryId, TenantId } from '#core/ids';
import type { RedeliverySelection } from '#core/registry/redelivery';
import { ACME, aMatched, anAttempt, aRedelivered, deliveryId, NOON, subscriptionId } from '#testkit/facts';
import { createTestDatabase, startPostgres, type TestPostgres } from '#testkit/postgres';
import type { Database } from './database.ts';
import { countRedeliverable, selectRedeliverable, type RedeliverableSet } from './select-redeliverable.ts';
import { writeFacts } from './write-facts.ts';

jest.setTimeout(120_000);

const DAY_MS = 86_400_000;
const LATER = NOON + 30 * DAY_MS;

describe('what can be redelivered', () => {
  let postgres: TestPostgres;
  let db: Database;
  let seq = 0;

  beforeAll(async () => {
    postgres = await startPostgres();
  });

  afterAll(async () => {
    await postgres.stop();
  });

  beforeEach(async () => {
    db = await createTestDatabase(postgres);
  });

  afterEach(async () => {
    await db.close();
  });

  const write = (facts: readonly Fact[]) =>
    writeFacts(
      db,
      facts.map((fact) => ({ seq: ++seq, fact })),
    );

  interface Traits {
    readonly tenant?: TenantId;
    readonly type?: string;
    readonly subscription?: number;
    readonly acceptedAtMs?: number;
    readonly reason?: DeadReason;
    readonly attempt?: number;
    readonly endedAtMs?: number;
  }

  function aDead(n: number, traits: Traits = {}): Fact {
    const { reason = 'gone', subscription = 1, acceptedAtMs = NOON + n, endedAtMs, ...rest } = traits;
    return anAttempt({
      ...rest,
      delivery: deliveryId(n),
      subscription: subscriptionId(subscription),
      eventSeq: n,
      acceptedAtMs,
      startedAtMs: endedAtMs ?? acceptedAtMs,
      durationMs: 0,
      next: { kind: 'dead', reason },
    });
  }

  const setOf = (selection: Partial<RedeliverySelection> = {}, rest: Partial<RedeliverableSet> = {}) => ({
    tenant: ACME,
    selection: { states: ['dead'] as const, untilMs: LATER, ...selection },
    unchangedSinceMs: LATER,
    ...rest,
  });

  async function select(selection: Partial<RedeliverySelection> = {}, rest: Partial<RedeliverableSet> = {}) {
    const set = setOf(selection, rest);
    const rows = await selectRedeliverable(db, set, 100);
    expect(await countRedeliverable(db, set)).toBe(rows.length);
    return rows.map(({ id }) => Number(id.slice(4)));
  }

  test('is found between instants that are too early for a date of Postgres as well', async () => {
    await write([aDead(1)]);
    const sinceMs = Date.parse('0000-01-01');
    expect(await select({ sinceMs })).toEqual([1]);
    expect(await select({ sinceMs, untilMs: sinceMs + 1 })).toEqual([]);
  });

  test('is shown with what a new round needs', async () => {
    await write([aDead(7, { attempt: 3, acceptedAtMs: NOON + 123, subscription: 4 })]);
    expect(await selectRedeliverable(db, setOf(), 10)).toEqual([
      {
        id: deliveryId(7),
        tenant: ACME,
        subscription: subscriptionId(4),
        eventSeq: 7,
        acceptedAtMs: NOON + 123,
        lastAttempt: 3,
      },
    ]);
  });

  test('is over: neither what waits, nor another tenant’s', async () => {
    await write([
      aDead(1),
      aDead(2, { tenant: 'globex' as TenantId }),
      anAttempt({ delivery: deliveryId(3), next: { kind: 'delivered' } }),
      anAttempt({ delivery: deliveryId(4), next: { kind: 'retry', atMs: NOON } }),
      aMatched({ matches: [{ delivery: deliveryId(5), subscription: subscriptionId(1) }] }),
    ]);
    expect(await select()).toEqual([1]);
    expect(await select({ states: ['delivered'] })).toEqual([3]);
    expect(await select({ states: ['dead', 'delivered'] })).toEqual([3, 1]);
  });

  test('is narrowed by subscription, reason, type and instant of acceptance', async () => {
    await write([
      aDead(1, { subscription: 1, reason: 'gone', type: 'a' }),
      aDead(2, { subscription: 2, reason: 'deadline_passed', type: 'b' }),
      aDead(3, { subscription: 1, reason: 'poisoned', type: 'c' }),
    ]);
    expect(await select({ subscription: subscriptionId(1) })).toEqual([1, 3]);
    expect(await select({ reasons: ['gone', 'deadline_passed'] })).toEqual([1, 2]);
    expect(await select({ types: ['b', 'c', "'; drop table deliveries"] })).toEqual([2, 3]);
    expect(await select({ sinceMs: NOON + 2 })).toEqual([2, 3]);
    expect(await select({ untilMs: NOON + 2 })).toEqual([1]);
    expect(await select({ sinceMs: NOON + 2, untilMs: NOON + 3, subscription: subscriptionId(1) })).toEqual([]);
  });

  test('is what it was at an instant: neither what died later, nor what was redelivered, whatever became of it', async () => {
    const atMs = NOON + 60_000;
    await write([aDead(1), aDead(2, { endedAtMs: atMs + 1 }), aDead(3), aDead(4)]);
    const of = (n: number) => ({ delivery: deliveryId(n), acceptedAtMs: NOON + n, eventSeq: n });
    await write([aRedelivered({ ...of(3), attempt: 2, atMs: atMs + 1 })]);
    await write([aRedelivered({ ...of(4), attempt: 2, atMs: atMs + 1 }), aDead(4, { attempt: 2, endedAtMs: atMs })]);
    expect(await select({}, { unchangedSinceMs: atMs })).toEqual([1]);
    expect(await select()).toEqual([1, 2, 4]);
  });

  test('comes in parts, each once, over days and over deliveries of the same instant', async () => {
    const facts = Array.from({ length: 60 }, (_, n) =>
      aDead(n, { acceptedAtMs: NOON + (n % 3) * DAY_MS + Math.floor(n / 20) }),
    );
    await write(facts);
    const seen: string[] = [];
    for (let after: RedeliverableSet['after']; ;) {
      const part = await selectRedeliverable(db, setOf({}, { after }), 7);
      const last = part.at(-1);
      if (last === undefined) break;
      seen.push(...part.map(({ acceptedAtMs, id }) => `${acceptedAtMs} ${id}`));
      after = { acceptedAtMs: last.acceptedAtMs, id: last.id };
      expect(await countRedeliverable(db, setOf({}, { after }))).toBe(60 - seen.length);
    }
    expect(seen).toHaveLength(60);
    expect(seen).toEqual([...new Set(seen)].sort());
  });

  test('is read from an index, in order and without other days, in a table with many others', async () => {
    await write(Array.from({ length: 5 }, (_, n) => aDead(n, { acceptedAtMs: NOON + n * DAY_MS })));
    const pool = await db.pool();
    await pool.query({
      text: `insert into deliveries (id, accepted_at, tenant, subscription, event_seq, type, state, reason, created_at,
                                     updated_at, step, fact_seq)
             select 'dlv_x' || n, to_timestamp($1::float8 / 1000) + (n / 4 % 5) * interval '1 day' + n * interval '1 ms',
                    'acme', 'sub_' || n % 10, n, 't', case when n % 4 = 0 then 'dead' else 'delivered' end,
                    case when n % 4 = 0 then 'gone' end, now(), to_timestamp(0), 2, n
               from generate_series(1, 40000) as n`,
      values: [NOON],
    });
    await pool.query({ text: 'analyze deliveries' });
    const after = { acceptedAtMs: NOON + 3 * DAY_MS + 10_000, id: 'dlv_x1' as DeliveryId };
    const sets: Record<string, RedeliverableSet> = {
      dead: setOf({}, { after }),
      'dead of one': setOf({ subscription: 'sub_0' as never, reasons: ['gone'], types: ['t'] }, { after }),
      'first part': setOf({ sinceMs: NOON + 3 * DAY_MS }),
      'since T': setOf({ states: ['dead', 'delivered'], sinceMs: NOON }, { after }),
      'of a subscription': setOf({ subscription: 'sub_7' as never, states: ['delivered'], sinceMs: NOON }, { after }),
    };
    for (const [name, set] of Object.entries(sets)) {
      const plan = await explain(set);
      expect({ name, plan }).toEqual({ name, plan: expect.stringMatching(/Index (Only )?Scan/) });
      expect({ name, plan }).toEqual({ name, plan: expect.not.stringMatching(/Seq Scan|Sort|2026112[2-4]/) });
    }
  });

  async function explain(set: RedeliverableSet): Promise<string> {
    const pool = await db.pool();
    let plan = '';
    const explaining = {
      pool: () =>
        Promise.resolve({
          ...pool,
          query: async ({ text, values = [] }: { text: string; values?: readonly unknown[] }) => {
            const { rows } = await pool.query({ text: `explain ${text}`, values });
            plan = rows.map((row) => String(row['QUERY PLAN'])).join('\n');
            return { rows: [], rowCount: 0 };
          },
        }),
    };
    await selectRedeliverable({ ...db, ...explaining } as Database, set, 500);
    return plan;
  }
});
