import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { createTestDatabase, startPostgres, type TestPostgres } from '#testkit/postgres';
import type { Database } from './database.ts';
import { ACME, aMatched, anAttempt, deliveryId, NOON, sequencedFacts, subscriptionId } from '#testkit/facts';
import { findDelivery } from './find-delivery.ts';
import type { SequencedFact } from './fold-facts.ts';
import { dropPartitionsBefore } from './partitions.ts';
import { dayOf } from './storable.ts';
import { truncateProjections } from './truncate-projections.ts';
import { writeFacts } from './write-facts.ts';

jest.setTimeout(120_000);

const TABLES = ['events', 'deliveries', 'attempts'] as const;

describe('writeFacts', () => {
  let postgres: TestPostgres;
  let db: Database;

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

  async function rowsOf(table: string): Promise<readonly unknown[]> {
    const { rows } = await (await db.pool()).query({ text: `select * from ${table} t order by t::text` });
    return rows;
  }

  async function allRows(): Promise<unknown> {
    return Object.fromEntries(await Promise.all(TABLES.map(async (table) => [table, await rowsOf(table)] as const)));
  }

  test('gives the same rows for any order, repetition and batching of the facts', async () => {
    await fc.assert(
      fc.asyncProperty(sequencedFacts, fc.infiniteStream(fc.nat()), async (facts, random) => {
        await truncateProjections(db);
        await writeFacts(db, facts);
        const expected = await allRows();
        await truncateProjections(db);
        const [...numbers] = random.take(2 * facts.length);
        const shuffled = [...facts, ...facts]
          .map((item, i) => ({ item, key: numbers[i] ?? 0 }))
          .sort((a, b) => a.key - b.key)
          .map(({ item }) => item);
        for (const batch of batchesOf(shuffled, 1 + ((numbers[0] ?? 0) % 7))) await writeFacts(db, batch);
        expect(await allRows()).toEqual(expected);
      }),
      { numRuns: 40 },
    );
  });

  test('writes the neighbours of poison, records where it was, and goes on', async () => {
    const facts: SequencedFact[] = Array.from({ length: 200 }, (_, i) => ({
      seq: i + 1,
      fact: anAttempt({ delivery: deliveryId(i), subscription: subscriptionId(i) }),
    }));
    facts[17] = { seq: 18, fact: anAttempt({ delivery: deliveryId(17), durationMs: 1e12 }) };
    facts[150] = { seq: 151, fact: { ...anAttempt(), kind: 'unheard-of' } as unknown as SequencedFact['fact'] };
    facts[151] = { seq: 152, fact: anAttempt({ delivery: deliveryId(151), acceptedAtMs: Number.NaN }) };
    const { written, faults } = await writeFacts(db, facts);
    expect(written).toBe(197);
    expect(faults.map(({ seq, code }) => [seq, code])).toEqual([
      [18, '22003'],
      [151, 'store.unstorable_row'],
      [152, 'store.unstorable_row'],
    ]);
    expect(await rowsOf('deliveries')).toHaveLength(197);
    const { rows } = await (
      await db.pool()
    ).query({ text: 'select stream, seq::int from projection_faults order by seq' });
    expect(rows).toEqual([18, 151, 152].map((seq) => ({ stream: 'JOURNAL', seq })));
  });

  test('keeps a response with a NUL and the whole story of a delivery', async () => {
    await writeFacts(db, [
      { seq: 3, fact: anAttempt({ attempt: 2, startedAtMs: NOON + 10_000 }) },
      {
        seq: 2,
        fact: anAttempt({
          request: { outcome: 'retryable', status: 503, responseBody: 'a\0b', responseTruncated: true },
          next: { kind: 'retry', atMs: NOON + 10_000 },
        }),
      },
      { seq: 1, fact: aMatched() },
    ]);
    expect(await findDelivery(db, ACME, deliveryId(1))).toEqual({
      id: deliveryId(1),
      tenant: ACME,
      subscription: subscriptionId(1),
      event: { seq: 1, source: '/orders', id: 'event-1', type: 'com.example.order.placed' },
      acceptedAtMs: NOON,
      state: 'delivered',
      createdAtMs: NOON + 5,
      updatedAtMs: NOON + 10_020,
      attemptCount: 2,
      lastStatus: 200,
      lastOutcome: 'delivered',
      attempts: [
        {
          number: 1,
          atMs: NOON + 10,
          durationMs: 20,
          outcome: 'retryable',
          status: 503,
          responseBody: 'a\u2400b',
          responseTruncated: true,
          next: { kind: 'retry', atMs: NOON + 10_000 },
        },
        {
          number: 2,
          atMs: NOON + 10_000,
          durationMs: 20,
          outcome: 'delivered',
          status: 200,
          next: { kind: 'delivered' },
        },
      ],
    });
  });

  test('does not take a lost connection for poison', async () => {
    await postgres.halt();
    await expect(writeFacts(db, [{ seq: 1, fact: aMatched() }])).rejects.toThrow(
      /ECONNREFUSED|ECONNRESET|EPIPE|terminat/,
    );
    await postgres.restart();
    expect(await writeFacts(db, [{ seq: 1, fact: aMatched() }])).toEqual({ written: 1, faults: [] });
  });

  test('makes the day anew when it was dropped behind its back', async () => {
    await writeFacts(db, [{ seq: 1, fact: aMatched() }]);
    await dropPartitionsBefore(db, dayOf(NOON) + 1);
    const late = [{ seq: 2, fact: anAttempt() }];
    await expect(writeFacts(db, late)).rejects.toThrow('no partition of relation');
    expect(await writeFacts(db, late)).toEqual({ written: 1, faults: [] });
  });

  test('lets two writers write the same rows at the same time', async () => {
    const facts = Array.from({ length: 500 }, (_, i) => ({ seq: i, fact: anAttempt({ delivery: deliveryId(i) }) }));
    const backwards = facts.toReversed();
    await Promise.all([facts, backwards, facts, backwards].map((each) => writeFacts(db, each)));
    expect(await rowsOf('deliveries')).toHaveLength(500);
  });
});

function* batchesOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let i = 0; i < items.length; i += size) yield items.slice(i, i + size);
}
