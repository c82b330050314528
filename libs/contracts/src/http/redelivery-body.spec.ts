import { describe, expect, test } from '@jest/globals';
import type { DeliveryId, RedeliveryId, SubscriptionId, TenantId } from '#core/ids';
import { redeliveryBody, redeliveryToResource } from './redelivery-body.ts';
import { parseBody } from './violations.ts';

const subscription = `sub_${'0'.repeat(26)}` as SubscriptionId;

const read = (body: unknown) => parseBody(redeliveryBody, body);

function pointersOf(body: unknown): readonly string[] {
  const parsed = read(body);
  return parsed.ok ? [] : parsed.violations.map(({ pointer }) => pointer);
}

describe('the body of a redelivery', () => {
  test('means every dead letter when it says nothing', () => {
    expect(read({})).toEqual({ ok: true, value: { states: ['dead'], dryRun: false, requestsPerMinute: 6_000 } });
  });

  test('reads everything, instants as milliseconds, lists without repetitions', () => {
    const body = {
      subscription,
      states: ['dead', 'dead'],
      reasons: ['gone', 'deadline_passed', 'gone'],
      types: ['com.example.a'],
      since: '2026-11-22T12:00:00Z',
      until: '2026-11-22T13:00:00+00:30',
      dryRun: true,
      requestsPerMinute: 60,
      note: 'the sink is back',
    };
    expect(read(body)).toEqual({
      ok: true,
      value: {
        ...body,
        states: ['dead'],
        reasons: ['gone', 'deadline_passed'],
        since: Date.UTC(2026, 10, 22, 12),
        until: Date.UTC(2026, 10, 22, 12, 30),
      },
    });
  });

  test.each<[object, string]>([
    [{ subscription: 'sub_1' }, '/subscription'],
    [{ states: [] }, '/states'],
    [{ states: 'dead' }, '/states'],
    [{ states: ['retrying'] }, '/states/0'],
    [{ reasons: ['gone', 'bad_luck'] }, '/reasons/1'],
    [{ types: [''] }, '/types/0'],
    [{ types: ['a\0'] }, '/types/0'],
    [{ types: [] }, '/types'],
    [{ since: 'yesterday' }, '/since'],
    [{ until: 1 }, '/until'],
    [{ since: '2026-11-22T12:00:00Z', until: '2026-11-22T12:00:00Z' }, '/until'],
    [{ dryRun: 'yes' }, '/dryRun'],
    [{ requestsPerMinute: 0 }, '/requestsPerMinute'],
    [{ requestsPerMinute: 1.5 }, '/requestsPerMinute'],
    [{ requestsPerMinute: 60_001 }, '/requestsPerMinute'],
    [{ note: '' }, '/note'],
    [{ tenant: 'acme' }, '/tenant'],
    [{ states: ['delivered'] }, '/since'],
    [{ states: ['dead', 'delivered'], since: '2026-11-22T12:00:00Z', reasons: ['gone'] }, '/reasons'],
  ])('says where the mistake is: %j', (body, pointer) => {
    expect(pointersOf(body)).toEqual([pointer]);
  });

  test('lists every mistake at once', () => {
    expect(pointersOf({ states: ['x'], since: 'x', requestsPerMinute: -1 })).toEqual([
      '/states/0',
      '/since',
      '/requestsPerMinute',
    ]);
  });
});

test('a job is shown without its tenant and cursor, with every reason for skipping', () => {
  const job = {
    id: 'red_1' as RedeliveryId,
    tenant: 'acme' as TenantId,
    state: 'cancelled',
    selection: { states: ['dead'], subscription, sinceMs: 0, untilMs: 1000 },
    requestsPerMinute: 60,
    note: 'n',
    count: 9,
    checkpoint: 1,
    cursor: { acceptedAtMs: 1, id: 'dlv_1' as DeliveryId },
    done: 3,
    skipped: { event_gone: 2, dead_letter: 0 },
    requestedAtMs: 1000,
    by: 'admin',
    finishedAtMs: 2000,
    cancelledBy: 'key_1',
  } as const;
  expect(redeliveryToResource(job)).toEqual({
    id: 'red_1',
    state: 'cancelled',
    selection: {
      states: ['dead'],
      subscription,
      since: '1970-01-01T00:00:00.000Z',
      until: '1970-01-01T00:00:01.000Z',
    },
    requestsPerMinute: 60,
    note: 'n',
    count: 9,
    done: 3,
    skipped: { subscription_deleted: 0, subscription_ended: 0, event_gone: 2, dead_letter: 0 },
    requestedAt: '1970-01-01T00:00:01.000Z',
    by: 'admin',
    finishedAt: '1970-01-01T00:00:02.000Z',
    cancelledBy: 'key_1',
  });
});
