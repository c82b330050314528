import { setTimeout as delay } from 'node:timers/promises';
import { MikroORM, type EntityManager } from '@mikro-orm/postgresql';
import { Migrator } from '@mikro-orm/migrations';
import { ENTITIES } from './entities.ts';
import { Migration20261122MainPath } from './migrations/migration-20261122-main-path.ts';
import type { StoreLogger } from './store-logger.ts';

/** What is used of the `pg` pool that belongs to MikroORM's connection. */
export interface PgPool {
  query(statement: Statement): Promise<QueryRows>;
  connect(): Promise<PgClient>;
}

export interface PgClient {
  query(statement: Statement | string): Promise<QueryRows>;
  /** @param broken true takes the connection out of the pool */
  release(broken?: boolean): void;
}

/** A statement with bound parameters; a name keeps it prepared on every connection. */
export interface Statement {
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
}

export interface QueryRows {
  readonly rows: readonly Record<string, unknown>[];
  readonly rowCount: number | null;
}

export interface Database {
  readonly orm: MikroORM;
  /** A fresh entity manager: one per query, so that nothing is served from an identity map. */
  em(): EntityManager;
  /**
   * The connection pool below MikroORM, for statements with bound parameters: MikroORM's own `execute` writes every parameter
   * into the text of the statement (measured: `write-facts.ts`).
   */
  pool(): Promise<PgPool>;
  /** @throws what the driver throws when the database can not be reached */
  ping(): Promise<void>;
  /** Days (since 1970-01-01 UTC) whose partitions this process has seen. */
  readonly knownDays: Set<number>;
  /** The same database with a pool of its own; close it as well. */
  reopen(poolSize: number): Database;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly url: string;
  /** Most connections, default 4. */
  readonly poolSize?: number;
  readonly logger: StoreLogger;
  /** Shown in pg_stat_activity. */
  readonly applicationName?: string;
}

const CONNECT_TIMEOUT_MS = 5000;
const IDLE_TIMEOUT_MS = 30_000;
/** A server that takes the connection and never answers is as good as away. */
const QUERY_TIMEOUT_MS = 60_000;

/**
 * MikroORM never gives back a connection that it lost in the middle of a transaction, and the pool would wait for it for
 * ever. Whoever closes has ended its work, so nothing is cut short.
 */
const CLOSE_TIMEOUT_MS = 2_000;

/** Does not connect: the read side may be away when a service starts. The first query does. */
export function openDatabase(options: DatabaseOptions): Database {
  const { url, poolSize = 4, logger, applicationName = 'posthaste' } = options;
  const orm = new MikroORM({
    clientUrl: url,
    entities: ENTITIES,
    extensions: [Migrator],
    migrations: { migrationsList: [Migration20261122MainPath], snapshot: false, transactional: true },
    pool: { min: 0, max: poolSize, idleTimeoutMillis: IDLE_TIMEOUT_MS },
    driverOptions: {
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      application_name: applicationName,
      keepAlive: true,
      query_timeout: QUERY_TIMEOUT_MS,
    },
    ensureDatabase: false,
    // Without it a lost connection is only seen by the query in flight, which is told anyway.
    logger: (message) => {
      logger.debug({}, message);
    },
    colors: false,
    disableIdentityMap: true,
  } as ConstructorParameters<typeof MikroORM>[0]);
  const connection = orm.em.getConnection();
  const pool = async (): Promise<PgPool> => (await connection.getNativeClient()) as PgPool;
  return {
    orm: orm as MikroORM,
    em: () => orm.em.fork() as EntityManager,
    pool,
    async ping() {
      await (await pool()).query({ text: 'select 1' });
    },
    knownDays: new Set(),
    reopen: (size) => openDatabase({ ...options, poolSize: size }),
    async close() {
      await Promise.race([orm.close(true), delay(CLOSE_TIMEOUT_MS, undefined, { ref: false })]);
    },
  };
}
