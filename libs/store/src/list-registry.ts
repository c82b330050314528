import type { InferEntity } from '@mikro-orm/postgresql';
import type { ApiKeyId, TenantId } from '#core/ids';
import type { ApiKey } from '#core/registry/api-key';
import type { Tenant } from '#core/registry/tenant';
import type { Database } from './database.ts';
import { ApiKeyEntity, TenantEntity } from './entities.ts';
import { afterCursor, pageLimit, toPage, type Page, type PageRequest } from './page.ts';

// Lists only: the state of one aggregate is read from its stream (read-your-writes). Records may be projected in any
// order, so a row can be there before its creation is; it is shown once it is whole. Subscriptions are listed by the
// registry from its fold, which knows their state; their table is for whoever asks the database.

type TenantRow = InferEntity<typeof TenantEntity>;
type ApiKeyRow = InferEntity<typeof ApiKeyEntity>;

/** Without the hash. */
export type ApiKeyRecord = Omit<ApiKey, 'hash'>;

/** All tenants, newest first: for the operator only. */
export async function listTenants(db: Database, page: PageRequest): Promise<Page<Tenant>> {
  const limit = pageLimit(page);
  const rows = await db
    .em()
    .find(
      TenantEntity,
      { $and: [{ createdAt: { $ne: null } }, afterCursor<TenantRow>('createdAt', page.after)] },
      { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
    );
  return toPage(
    rows,
    limit,
    (row): Tenant => ({
      id: row.id as TenantId,
      name: row.name,
      createdAtMs: instantOf(row.createdAt),
      updatedAtMs: row.updatedAt.getTime(),
    }),
    keyOf,
  );
}

/** A tenant's API keys that are not revoked, newest first. */
export async function listApiKeys(db: Database, tenant: TenantId, page: PageRequest): Promise<Page<ApiKeyRecord>> {
  const limit = pageLimit(page);
  const rows = await db.em().find(
    ApiKeyEntity,
    {
      $and: [{ tenant, createdAt: { $ne: null }, revokedAt: null }, afterCursor<ApiKeyRow>('createdAt', page.after)],
    },
    { orderBy: { createdAt: 'desc', id: 'desc' }, limit: limit + 1 },
  );
  return toPage(rows, limit, toApiKeyRecord, keyOf);
}

function toApiKeyRecord(row: ApiKeyRow): ApiKeyRecord {
  return {
    id: row.id as ApiKeyId,
    tenant: row.tenant as TenantId,
    name: row.name ?? '',
    scopes: row.scopes ?? [],
    createdAtMs: instantOf(row.createdAt),
  };
}

function keyOf(row: { readonly id: string; readonly createdAt?: Date | null | undefined }): {
  atMs: number;
  id: string;
} {
  return { atMs: instantOf(row.createdAt), id: row.id };
}

function instantOf(date: Date | null | undefined): number {
  return date?.getTime() ?? 0;
}
