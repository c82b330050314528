import { randomUUID } from 'node:crypto';
import type { IdempotencyStore } from './handle-once.ts';

/**
 * One command: `(args) => client.sendCommand([...args])` of node-redis, `([name = '', ...rest]) => redis.call(name, ...rest)`
 * of ioredis. Tested with @redis/client 6 and ioredis 6.
 */
export type RedisCommand = (args: readonly string[]) => Promise<unknown>;

export interface RedisStoreOptions {
  /** What every key starts with. Default `posthaste:`. */
  readonly prefix?: string;
  /** How long it is remembered what was done. Default 3 days. */
  readonly retentionMs?: number;
}

const DEFAULT_RETENTION_MS = 3 * 86_400_000;
const COMPLETED = 'completed';

// Compare and change in one step: the token says whose claim it is.
const COMPLETE = `if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('set', KEYS[1], '${COMPLETED}', 'PX', ARGV[2])
return 1`;
const RELEASE = `if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('del', KEYS[1]) end
return 1`;

/**
 * Remembers in Redis (2.6.12 or newer, or Valkey). It is as durable as that server: with `appendfsync everysec` a crash
 * forgets up to a second, and a duplicate is handled again; no notification is lost by that.
 */
export function makeRedisStore(command: RedisCommand, options: RedisStoreOptions = {}): IdempotencyStore {
  const { prefix = 'posthaste:', retentionMs = DEFAULT_RETENTION_MS } = options;
  return {
    async claim(id, leaseMs) {
      const token = randomUUID();
      const taken = await command(['SET', prefix + id, token, 'NX', 'PX', String(leaseMs)]);
      if (taken !== null) return { state: 'claimed', token };
      const value = String(await command(['GET', prefix + id]));
      return { state: value === COMPLETED ? 'completed' : 'in_progress' };
    },
    async complete(id, token) {
      const done = await command(['EVAL', COMPLETE, '1', prefix + id, token, String(retentionMs)]);
      return Number(done) === 1;
    },
    async release(id, token) {
      await command(['EVAL', RELEASE, '1', prefix + id, token]);
    },
  };
}
