import type { DeliveryId, TenantId } from '#core/ids';
import type { Database } from './database.ts';
import { toAttemptRecord, toDeliveryRecord, type DeliveryWithAttempts } from './delivery-record.ts';
import { AttemptEntity, DeliveryEntity } from './entities.ts';

/**
 * One delivery with its attempts, or undefined when the tenant has none with this id. An event that was published again
 * after the deduplication window has the same delivery ids: the newest is meant.
 */
export async function findDelivery(
  db: Database,
  tenant: TenantId,
  id: DeliveryId,
): Promise<DeliveryWithAttempts | undefined> {
  const em = db.em();
  const [row] = await em.find(DeliveryEntity, { tenant, id }, { orderBy: { acceptedAt: 'desc' }, limit: 1 });
  if (row === undefined) return undefined;
  const attempts = await em.find(
    AttemptEntity,
    { tenant, delivery: id, acceptedAt: row.acceptedAt },
    { orderBy: { number: 'asc' } },
  );
  const last = attempts.findLast(({ outcome }) => outcome !== null);
  return { ...toDeliveryRecord(row, last), attempts: attempts.map(toAttemptRecord) };
}
