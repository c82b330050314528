import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { TenantId } from '../ids.ts';
import { makeTenantBudgets, takeFromBudget, type Budget } from './tenant-budget.ts';

const [acme, other] = ['acme', 'other'] as TenantId[] as [TenantId, TenantId];
const LIMITS = { burst: 500, perSecond: 500 };

const limits = fc.record({ burst: fc.integer({ min: 1, max: 1000 }), perSecond: fc.integer({ min: 1, max: 2000 }) });
/** Also of a clock that goes back. */
const requests = fc.array(fc.record({ afterMs: fc.integer({ min: -2000, max: 5000 }), count: fc.nat({ max: 700 }) }), {
  maxLength: 60,
});

describe('the budget of a tenant', () => {
  test('a burst at once, then so many per second', () => {
    const budgets = makeTenantBudgets(LIMITS);
    expect(budgets.take(acme, 500, 0)).toBe(true);
    expect(budgets.take(acme, 1, 0)).toBe(false);
    expect(budgets.take(acme, 50, 99)).toBe(false);
    expect(budgets.take(acme, 50, 100)).toBe(true);
    expect(budgets.take(acme, 1, 100)).toBe(false);
    expect(budgets.take(acme, 501, 1_000_000)).toBe(false);
    expect(budgets.take(acme, 500, 1_000_000)).toBe(true);
  });

  test('takes all of what is asked or nothing', () => {
    const budgets = makeTenantBudgets(LIMITS);
    expect([400, 101, 100].map((count) => budgets.take(acme, count, 0))).toEqual([true, false, true]);
  });

  test('is its own: what one tenant takes, no other misses', () => {
    const budgets = makeTenantBudgets(LIMITS);
    while (budgets.take(acme, 1, 0));
    expect(budgets.take(other, 500, 0)).toBe(true);
  });

  test('in any span of time gives at most the burst and what that span adds, whatever the clock does', () => {
    fc.assert(
      fc.property(limits, requests, (given, all) => {
        let budget: Budget | undefined;
        let nowMs = 1_000_000;
        const taken: { atMs: number; count: number }[] = [];
        for (const { afterMs, count } of all) {
          nowMs += afterMs;
          const answer = takeFromBudget(budget, given, count, nowMs);
          budget = answer.budget;
          if (answer.isTaken) taken.push({ atMs: budget.atMs, count });
        }
        for (const [i, { atMs: fromMs }] of taken.entries()) {
          let sum = 0;
          for (const { atMs, count } of taken.slice(i)) {
            sum += count;
            expect(sum).toBeLessThanOrEqual(given.burst + ((atMs - fromMs) * given.perSecond) / 1000 + 1e-6);
          }
        }
      }),
    );
  });

  test('refuses nothing of a tenant that stays below its rate', () => {
    fc.assert(
      fc.property(limits, fc.array(fc.nat({ max: 3000 }), { maxLength: 60 }), (given, gapsMs) => {
        const budgets = makeTenantBudgets(given);
        let nowMs = 0;
        for (const gapMs of gapsMs) {
          nowMs += gapMs;
          const count = Math.min(given.burst, Math.floor((gapMs * given.perSecond) / 1000));
          expect(budgets.take(acme, count, nowMs)).toBe(true);
        }
      }),
    );
  });
});
