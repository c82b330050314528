import type { DeadReason, ExchangeError, NextStep, Outcome } from '#core/delivery/outcome';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { AttemptEntityRow, DeliveryEntityRow, DeliveryState } from './entities.ts';

/** A delivery as it can be looked up. All instants are Unix milliseconds. */
export interface DeliveryRecord {
  readonly id: DeliveryId;
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
  readonly event: { readonly seq: number; readonly source?: string; readonly id?: string; readonly type?: string };
  readonly acceptedAtMs: number;
  readonly state: DeliveryState;
  /** Only while `retrying`. */
  readonly nextAttemptAtMs?: number;
  /** Only when `dead`. */
  readonly reason?: DeadReason;
  readonly createdAtMs: number;
  readonly updatedAtMs: number;
  /** Attempts made: the number of the last one that sent a request, 0 before the first. */
  readonly attemptCount: number;
  readonly lastStatus?: number;
  readonly lastOutcome?: Outcome;
  readonly lastError?: ExchangeError;
}

export interface AttemptRecord {
  /** From 1. */
  readonly number: number;
  readonly atMs: number;
  readonly durationMs: number;
  /** Absent when the delivery ended here without a request (deadline passed, subscription deleted …). */
  readonly outcome?: Outcome;
  readonly status?: number;
  readonly error?: ExchangeError;
  readonly message?: string;
  /** At most the first 16 KiB. A NUL, which Postgres can not hold in a text, stands as U+2400. */
  readonly responseBody?: string;
  readonly responseTruncated?: boolean;
  readonly next: NextStep;
}

export interface DeliveryWithAttempts extends DeliveryRecord {
  /** In order, from the first. */
  readonly attempts: readonly AttemptRecord[];
}

/** What a delivery shows of its attempts. */
export type AttemptSummary = Pick<AttemptEntityRow, 'number' | 'outcome' | 'status' | 'error'>;

export function toDeliveryRecord(row: DeliveryEntityRow, last: AttemptSummary | undefined): DeliveryRecord {
  return {
    id: row.id as DeliveryId,
    tenant: row.tenant as TenantId,
    subscription: row.subscription as SubscriptionId,
    event: {
      seq: row.eventSeq,
      ...known('source', row.source),
      ...known('id', row.eventId),
      ...known('type', row.type),
    },
    acceptedAtMs: row.acceptedAt.getTime(),
    state: row.state,
    ...known('nextAttemptAtMs', row.nextAttemptAt?.getTime()),
    ...known('reason', row.reason),
    createdAtMs: row.createdAt.getTime(),
    updatedAtMs: row.updatedAt.getTime(),
    attemptCount: last?.number ?? 0,
    ...known('lastStatus', last?.status),
    ...known('lastOutcome', last?.outcome),
    ...known('lastError', last?.error),
  };
}

export function toAttemptRecord(row: AttemptEntityRow): AttemptRecord {
  return {
    number: row.number,
    atMs: row.at.getTime(),
    durationMs: row.durationMs,
    ...known('outcome', row.outcome),
    ...known('status', row.status),
    ...known('error', row.error),
    ...known('message', row.message),
    ...known('responseBody', row.responseBody),
    ...known('responseTruncated', row.responseTruncated),
    next: toNextStep(row),
  };
}

function toNextStep(row: AttemptEntityRow): NextStep {
  switch (row.next) {
    case 'delivered':
      return { kind: 'delivered' };
    case 'retry':
      return { kind: 'retry', atMs: row.nextAttemptAt?.getTime() ?? 0 };
    case 'dead':
      return { kind: 'dead', reason: row.reason ?? 'poisoned' };
  }
}

/** `{ [name]: value }`, or nothing at all when the column is null. */
export function known<Name extends string, Value>(
  name: Name,
  value: Value | null | undefined,
): { readonly [K in Name]?: Value } {
  return (value === null || value === undefined ? {} : { [name]: value }) as { readonly [K in Name]?: Value };
}
