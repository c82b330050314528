import { describe, expect, test } from '@jest/globals';
import { ANY_CONTEXT, specificationOf } from '#testkit/decider-specification';
import type { DeliveryId, RedeliveryId, TenantId } from '../ids.ts';
import { redeliveryDecider } from './redelivery-decider.ts';
import type { RedeliveryCommand, RedeliveryEvent } from './redelivery.ts';

const { given, fold } = specificationOf(redeliveryDecider);
const { nowMs: atMs, by } = ANY_CONTEXT;

const request = {
  id: 'red_1' as RedeliveryId,
  tenant: 'acme' as TenantId,
  selection: { states: ['dead'], sinceMs: 1, untilMs: 2 },
  requestsPerMinute: 60,
  note: 'the sink is back',
  count: 7,
} as const;
const cursor = { acceptedAtMs: 5, id: 'dlv_5' as DeliveryId };
const tally = { done: 3, skipped: { event_gone: 1 } };

const requested: RedeliveryEvent = { kind: 'RedeliveryRequested', ...request, atMs, by };
const progressed: RedeliveryEvent = { kind: 'RedeliveryProgressed', checkpoint: 1, cursor, ...tally, atMs, by };
const cancelled: RedeliveryEvent = { kind: 'RedeliveryCancelled', atMs, by };
const completed: RedeliveryEvent = { kind: 'RedeliveryCompleted', ...tally, atMs, by };
const failed: RedeliveryEvent = { kind: 'RedeliveryFailed', detail: 'why', ...tally, atMs, by };

const progress = (continues: number): RedeliveryCommand => ({ kind: 'RecordProgress', continues, cursor, ...tally });
const complete = (continues: number): RedeliveryCommand => ({ kind: 'CompleteRedelivery', continues, ...tally });
const fail = (continues: number): RedeliveryCommand => ({ kind: 'FailRedelivery', continues, detail: 'why', ...tally });

describe('a redelivery', () => {
  test('is requested once, and runs', () => {
    given([])
      .when({ kind: 'RequestRedelivery', ...request })
      .then([requested]);
    given([requested])
      .when({ kind: 'RequestRedelivery', ...request })
      .thenRefused('already_exists');
    expect(fold([requested])).toEqual({
      ...request,
      state: 'running',
      checkpoint: 0,
      done: 0,
      skipped: {},
      requestedAtMs: atMs,
      by,
    });
  });

  test('goes from checkpoint to checkpoint', () => {
    given([requested]).when(progress(0)).then([progressed]);
    given([requested, progressed])
      .when(progress(1))
      .then([{ ...progressed, checkpoint: 2 }]);
    expect(fold([requested, progressed])).toMatchObject({ state: 'running', checkpoint: 1, cursor, ...tally });
  });

  test.each([progress, complete, fail])('refuses who was overtaken (%#)', (command) => {
    given([requested, progressed]).when(command(0)).thenRefused('conflict');
  });

  test('ends completed or failed, with its tally', () => {
    given([requested]).when(complete(0)).then([completed]);
    given([requested]).when(fail(0)).then([failed]);
    expect(fold([requested, completed])).toMatchObject({ state: 'completed', ...tally, finishedAtMs: atMs });
    expect(fold([requested, failed])).toMatchObject({ state: 'failed', failure: 'why', ...tally, finishedAtMs: atMs });
  });

  test('is cancelled once, and takes what was under way then', () => {
    given([requested]).when({ kind: 'CancelRedelivery' }).then([cancelled]);
    given([requested, cancelled]).when({ kind: 'CancelRedelivery' }).thenNothing();
    given([requested, cancelled]).when(progress(0)).then([progressed]);
    given([requested, cancelled]).when(complete(0)).thenRefused('conflict');
    given([requested, cancelled]).when(fail(0)).thenRefused('conflict');
    expect(fold([requested, cancelled, progressed])).toMatchObject({
      state: 'cancelled',
      cancelledBy: by,
      finishedAtMs: atMs,
      ...tally,
    });
  });

  test.each([completed, failed])('does nothing after its end (%#)', (end) => {
    for (const command of [{ kind: 'CancelRedelivery' } as const, progress(0), complete(0), fail(0)]) {
      given([requested, end]).when(command).thenRefused('conflict');
    }
  });

  test('is not there without a request', () => {
    for (const command of [{ kind: 'CancelRedelivery' } as const, progress(0), complete(0), fail(0)]) {
      given([]).when(command).thenRefused('not_found');
    }
    expect(fold([progressed])).toBeUndefined();
  });
});
