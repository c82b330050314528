import { withLease } from '#store/advisory-lock';
import type { Database } from '#store/database';
import { dropPartitionsBefore, ensurePartitions } from '#store/partitions';
import { dayOf } from '#store/storable';

/** Days made in advance: a janitor may be away for a week before writers have to make their own. */
const DAYS_AHEAD = 7;

/** What a round did; undefined when another janitor holds the lease. */
export type PartitionRound = { readonly made: number; readonly dropped: readonly string[] } | undefined;

/** Makes the days to come and drops those past retention, if nobody else is at it. */
export async function keepPartitions(
  db: Database,
  { nowMs, retentionDays }: { readonly nowMs: number; readonly retentionDays: number },
): Promise<PartitionRound> {
  const today = dayOf(nowMs);
  return withLease(db, 'janitor', async () => ({
    made: await ensurePartitions(db, { fromDay: today, days: DAYS_AHEAD + 1 }),
    dropped: await dropPartitionsBefore(db, today - retentionDays),
  }));
}
