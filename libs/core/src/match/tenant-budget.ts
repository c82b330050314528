import type { TenantId } from '../ids.ts';

/** A token bucket: what a tenant may put on the common road before the others would feel it. */
export interface BudgetLimits {
  /** Deliveries at once, after a pause. */
  readonly burst: number;
  /** Deliveries per second from then on. */
  readonly perSecond: number;
}

/** Of one tenant. `tokens` is what was left at `atMs`. */
export interface Budget {
  readonly tokens: number;
  readonly atMs: number;
}

/**
 * Takes `count` tokens at once or none. In any span of time at most `burst + perSecond × span` are taken, whatever the
 * clock does: one that goes back gives nothing until it is where it was.
 *
 * @param budget undefined for a tenant that was never seen, or was quiet: a full bucket
 */
export function takeFromBudget(
  budget: Budget | undefined,
  { burst, perSecond }: BudgetLimits,
  count: number,
  nowMs: number,
): { readonly isTaken: boolean; readonly budget: Budget } {
  const { tokens, atMs } = budget ?? { tokens: burst, atMs: nowMs };
  const filled = Math.min(burst, tokens + (Math.max(0, nowMs - atMs) * perSecond) / 1000);
  const isTaken = count <= filled;
  return { isTaken, budget: { tokens: isTaken ? filled - count : filled, atMs: Math.max(atMs, nowMs) } };
}

export interface TenantBudgets {
  /** True when the tenant has `count` left, which are then taken. */
  take(tenant: TenantId, count: number, nowMs: number): boolean;
}

/** The budgets of all tenants in one process; a tenant costs one small object once it had an event. */
export function makeTenantBudgets(limits: BudgetLimits): TenantBudgets {
  const budgets = new Map<TenantId, Budget>();
  return {
    take(tenant, count, nowMs) {
      const { isTaken, budget } = takeFromBudget(budgets.get(tenant), limits, count, nowMs);
      budgets.set(tenant, budget);
      return isTaken;
    },
  };
}
