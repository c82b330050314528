import { randomUUID } from 'node:crypto';
import type { IdempotencyStore } from './handle-once.ts';

export interface MemoryStoreOptions {
  /** How long it is remembered what was done. Default 3 days. */
  readonly retentionMs?: number;
  /** More are not remembered; the oldest go first. Default 100 000. */
  readonly maxEntries?: number;
  /** Unix milliseconds. */
  readonly now?: () => number;
}

const DEFAULT_RETENTION_MS = 3 * 86_400_000;

type Entry =
  | { readonly state: 'claimed'; readonly token: string; readonly untilMs: number }
  | { readonly state: 'completed'; readonly untilMs: number };

/**
 * For tests and single processes that may forget: gone with the process, so a duplicate after a restart is handled again.
 */
export function makeMemoryStore(options: MemoryStoreOptions = {}): IdempotencyStore {
  const { retentionMs = DEFAULT_RETENTION_MS, maxEntries = 100_000, now = Date.now } = options;
  const entries = new Map<string, Entry>();

  const put = (id: string, entry: Entry): void => {
    entries.delete(id);
    entries.set(id, entry);
    const [oldest] = entries.keys();
    if (entries.size > maxEntries && oldest !== undefined) entries.delete(oldest);
  };

  const held = (id: string, token: string): boolean => {
    const entry = entries.get(id);
    return entry?.state === 'claimed' && entry.token === token;
  };

  return {
    claim(id, leaseMs) {
      const entry = entries.get(id);
      if (entry !== undefined && entry.untilMs > now()) {
        return Promise.resolve({ state: entry.state === 'completed' ? 'completed' : 'in_progress' });
      }
      const token = randomUUID();
      put(id, { state: 'claimed', token, untilMs: now() + leaseMs });
      return Promise.resolve({ state: 'claimed', token });
    },
    complete(id, token) {
      if (!held(id, token)) return Promise.resolve(false);
      put(id, { state: 'completed', untilMs: now() + retentionMs });
      return Promise.resolve(true);
    },
    release(id, token) {
      if (held(id, token)) entries.delete(id);
      return Promise.resolve();
    },
  };
}
