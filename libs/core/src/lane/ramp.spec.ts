import { describe, expect, test } from '@jest/globals';
import { RAMP_START, rampDown, rampUp } from './ramp.ts';

/** All that is allowed is sent and succeeds. */
function roundTrip(allowed: number, maxInFlight: number): number {
  return Array.from({ length: allowed }).reduce<number>((now) => rampUp(now, maxInFlight), allowed);
}

describe('the ramp of a sink that recovers', () => {
  test('starts with one and doubles with each round trip, up to maxInFlight (peers 6.5: no thundering herd)', () => {
    const rounds = [RAMP_START];
    for (let i = 0; i < 6; i++) rounds.push(roundTrip(rounds.at(-1) ?? 0, 20));
    expect(rounds).toEqual([1, 2, 4, 8, 16, 20, 20]);
  });

  test('halves with a failure, and gives up when one alone fails', () => {
    expect([16, 3, 2, 1].map(rampDown)).toEqual([8, 1, 1, 0]);
  });
});
