import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DEFAULT_CIRCUIT_POLICY, type CircuitPolicy } from './circuit-policy.ts';
import { makeFailureWindow, makeFailureWindows } from './failure-window.ts';

const policy: CircuitPolicy = {
  ...DEFAULT_CIRCUIT_POLICY,
  consecutiveFailures: 5,
  failureRatio: 0.5,
  windowSeconds: 60,
  minimumRequests: 10,
};
const patient: CircuitPolicy = { ...policy, consecutiveFailures: 1000 };

describe('a failure window', () => {
  test('trips after so many failures in a row; a success in between begins anew (Outpost SuccessResetsConsecutiveCount)', () => {
    const window = makeFailureWindow();
    const told = [false, false, false, false, true, false, false, false, false, false].map((ok, i) =>
      window.record(i, ok, { ...policy, minimumRequests: 100 }),
    );
    expect(told.indexOf('trip')).toBe(9);
  });

  test('trips by ratio, but not below the least number of requests', () => {
    const window = makeFailureWindow();
    const told = Array.from({ length: 10 }, (_, i) => window.record(i, i % 2 === 0, patient));
    expect(told.indexOf('trip')).toBe(9);
    expect(told.filter((said) => said === 'trip')).toHaveLength(1);
  });

  test('forgets what is older than its length, never what is younger than nine tenths of it', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat({ max: 20_000 }), fc.boolean()), { maxLength: 60 }), (steps) => {
        const window = makeFailureWindow();
        let nowMs = 1_000_000;
        const all = steps.map(([gapMs, ok]) => {
          nowMs += gapMs;
          window.record(nowMs, ok, { ...patient, minimumRequests: 1000 });
          return { atMs: nowMs, ok };
        });
        const { successes, failures } = window.counts(nowMs);
        const since = (ms: number, ok: boolean) => all.filter((r) => r.ok === ok && nowMs - r.atMs < ms).length;
        for (const [ok, count] of [[true, successes] as const, [false, failures] as const]) {
          expect(count).toBeGreaterThanOrEqual(since(54_000, ok));
          expect(count).toBeLessThanOrEqual(since(60_001, ok));
        }
      }),
    );
  });

  test('counts anew after it has tripped, and remembers since when nothing succeeds', () => {
    const window = makeFailureWindow();
    for (let i = 0; i < 5; i++) window.record(1000 + i, false, policy);
    expect(window.counts(1005)).toEqual({ successes: 0, failures: 0 });
    expect(window.failingSinceMs()).toBe(1000);
    window.record(1006, true, policy);
    expect(window.failingSinceMs()).toBeUndefined();
  });

  test('stays in its newest bucket when the clock is set back', () => {
    const window = makeFailureWindow();
    window.record(500_000, true, policy);
    window.record(100_000, true, policy);
    expect(window.counts(500_000)).toEqual({ successes: 2, failures: 0 });
  });

  test('begins anew when the length of the window is changed', () => {
    const window = makeFailureWindow();
    window.record(1000, true, policy);
    window.record(1000, true, { ...policy, windowSeconds: 10 });
    expect(window.counts(1000)).toEqual({ successes: 1, failures: 0 });
  });

  test('forgives', () => {
    const window = makeFailureWindow();
    window.record(1000, false, policy);
    window.forgive();
    expect([window.counts(1000), window.failingSinceMs()]).toEqual([{ successes: 0, failures: 0 }, undefined]);
  });
});

describe('the windows of a worker', () => {
  test('drop what had no request for the length of a window, and what fails after a day', () => {
    const windows = makeFailureWindows();
    windows.of('well').record(0, true, policy);
    windows.of('failing').record(0, false, policy);
    windows.of('busy').record(50_000, true, policy);
    windows.prune(60_001);
    expect(['well', 'failing', 'busy'].map((id) => windows.find(id) !== undefined)).toEqual([false, true, true]);
    windows.prune(86_400_001);
    expect(windows.size()).toBe(0);
  });

  test('forget what is not to be held against a sink any more', () => {
    const windows = makeFailureWindows();
    const window = windows.of('a');
    expect(windows.of('a')).toBe(window);
    windows.forget('a');
    expect(windows.find('a')).toBeUndefined();
  });
});
