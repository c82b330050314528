import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { tokenUse } from './token-use.ts';

const NOW = 1_800_000_000_000;
const hour = { obtainedAtMs: NOW, expiresAtMs: NOW + 3_600_000 };
const after = (seconds: number, refusedAtMs?: number) => tokenUse(hour, { nowMs: NOW + seconds * 1000, refusedAtMs });

describe('an access token', () => {
  test.each([
    [0, 'use'],
    [3519, 'use'],
    [3520, 'renew_ahead'],
    [3579, 'renew_ahead'],
    [3580, 'expired'],
    [3600, 'expired'],
  ])('of an hour, after %d s: %s (SA-10)', (seconds, use) => {
    expect(after(seconds)).toBe(use);
  });

  test('is never sent after its time, whatever it is and however long its request takes', () => {
    const instants = fc.record({
      expiresAtMs: fc.integer({ min: NOW, max: NOW + 1e8 }),
      nowMs: fc.integer({ min: NOW, max: NOW + 1e8 }),
      refusedAtMs: fc.option(fc.integer({ min: NOW - 1e6, max: NOW + 1e8 }), { nil: undefined }),
    });
    fc.assert(
      fc.property(instants, ({ expiresAtMs, ...question }) => {
        const use = tokenUse({ expiresAtMs }, question);
        const isSent = use === 'use' || use === 'renew_ahead';
        expect(isSent && question.nowMs + 20_000 > expiresAtMs).toBe(false);
      }),
    );
  });

  test('once over, stays so', () => {
    const times = fc.record({ obtainedAtMs: fc.option(fc.nat(1e7), { nil: undefined }), expiresAtMs: fc.nat(2e7) });
    fc.assert(
      fc.property(times, fc.nat(2e7), fc.nat(1e7), (token, nowMs, laterMs) => {
        if (tokenUse(token, { nowMs }) === 'expired')
          expect(tokenUse(token, { nowMs: nowMs + laterMs })).toBe('expired');
      }),
    );
  });

  test('that lives shortly is good for most of its life', () => {
    const short = { obtainedAtMs: NOW, expiresAtMs: NOW + 8_000 };
    expect([0, 5_999, 6_000, 6_999, 7_000].map((ms) => tokenUse(short, { nowMs: NOW + ms }))).toEqual([
      'use',
      'use',
      'renew_ahead',
      'renew_ahead',
      'expired',
    ]);
  });

  test('that a sink has refused is renewed, unless it came after the refusal, or just now', () => {
    expect(after(60, NOW + 30_000)).toBe('refused');
    expect(after(60, NOW - 1)).toBe('use');
    expect(after(9, NOW + 8_000)).toBe('use');
    expect(tokenUse({ expiresAtMs: NOW + 1e6 }, { nowMs: NOW, refusedAtMs: 0 })).toBe('refused');
  });
});
