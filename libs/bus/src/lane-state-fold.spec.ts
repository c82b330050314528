import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SubscriptionId } from '#core/ids';
import type { LaneState } from '#core/lane/lane-state';
import { makeLaneStateFold, type LaneStateFold } from './lane-state-fold.ts';

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const HOUR_MS = 3_600_000;
const id = (text: string): SubscriptionId => text as SubscriptionId;
const state = (sinceMs: number): LaneState => ({ circuit: { kind: 'closed', sinceMs } });
const message = (lane: string, seq: number, now: LaneState | undefined) => ({
  subject: `circuit.${lane}`,
  seq,
  data: new TextEncoder().encode(now === undefined ? '' : JSON.stringify(now)),
});
const makeFold = (): LaneStateFold => makeLaneStateFold({ rememberMs: HOUR_MS, logger: silent });

describe('the fold of CIRCUITS', () => {
  test('ends the same whatever the order and repetition in which messages come: the later of a lane wins', () => {
    const history = fc.array(fc.record({ lane: fc.constantFrom('a', 'b', 'c'), isRemoval: fc.boolean() }));
    fc.assert(
      fc.property(history, fc.infiniteStream(fc.nat()), (steps, picks) => {
        const messages = steps.map(({ lane, isRemoval }, i) =>
          message(lane, i + 1, isRemoval ? undefined : state(i + 1)),
        );
        const inOrder = makeFold();
        for (const each of messages) inOrder.apply(each);
        const shuffled = makeFold();
        const keys = messages.map((each) => ({ each, key: picks.next().value }));
        for (const { each } of keys.toSorted((a, b) => a.key - b.key)) shuffled.apply(each);
        for (const each of messages) shuffled.apply(each);
        expect(new Map(shuffled.states())).toEqual(new Map(inOrder.states()));
        for (const lane of ['a', 'b', 'c']) expect(shuffled.lastSeqOf(id(lane))).toBe(inOrder.lastSeqOf(id(lane)));
      }),
    );
  });

  test('tells listeners of every change once, and of nothing that changes nothing', () => {
    const fold = makeFold();
    const told: [string, LaneState | undefined][] = [];
    const end = fold.onChange((lane, now) => told.push([lane, now]));
    fold.apply(message('a', 1, state(1)));
    fold.apply(message('a', 1, state(1)));
    fold.apply(message('a', 2, undefined));
    fold.apply(message('a', 3, undefined));
    end();
    fold.apply(message('a', 4, state(4)));
    expect(told).toEqual([
      ['a', state(1)],
      ['a', undefined],
    ]);
  });

  test('forgets a lane only as it was when somebody saw that it is gone', () => {
    const fold = makeFold();
    fold.apply(message('a', 5, state(1)));
    fold.forget(id('a'), 4);
    expect(fold.of(id('a'))).toEqual(state(1));
    fold.forget(id('a'), 5);
    expect([fold.of(id('a')), fold.lastSeqOf(id('a'))]).toEqual([undefined, 0]);
  });

  test('goes on when a listener throws, and takes what it cannot read for no state, to be written over', () => {
    const fold = makeFold();
    fold.onChange(() => {
      throw new Error('a fault of the listener');
    });
    fold.apply(message('a', 1, state(1)));
    for (const [seq, text] of ['{', 'null', '{}', '{"circuit":{}}'].entries()) {
      fold.apply({ subject: 'circuit.a', seq: seq + 2, data: new TextEncoder().encode(text) });
      expect([fold.of(id('a')), fold.lastSeqOf(id('a'))]).toEqual([undefined, seq + 2]);
    }
    fold.apply(message('a', 9, state(9)));
    expect(fold.of(id('a'))).toEqual(state(9));
  });
});
