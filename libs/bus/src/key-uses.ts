import type { ApiKeyId, TenantId } from '#core/ids';
import { orUnavailable } from './bus-errors.ts';
import type { Bus } from './connection.ts';

/** Each process tells of a key at most that often. */
const TOLD_EVERY_MS = 60_000;
/** The last one that can be written as a date. */
const INSTANT_MAX_MS = 8.64e15;

/** The last use of an API key that anybody told of, up to a minute old. */
export interface KeyUse {
  readonly atMs: number;
  /** Address of the client. */
  readonly from: string;
}

export interface KeyUses {
  /** Never waits and never fails: a use that is not told is told by a later one. */
  used(tenant: TenantId, key: ApiKeyId, from: string): void;
  /** @throws BusUnavailable */
  lastUse(tenant: TenantId, key: ApiKeyId): Promise<KeyUse | undefined>;
}

/** Last uses are the newest message of each key on KEYUSES: no row is written per request, and no process asks another. */
export function makeKeyUses(
  { publisher, topology, jsm }: Pick<Bus, 'publisher' | 'topology' | 'jsm'>,
  now: () => number,
): KeyUses {
  const toldAtMs = new Map<ApiKeyId, number>();
  const stream = topology.streams.KEYUSES;

  return {
    used(tenant, key, from) {
      const atMs = now();
      if (Math.abs(atMs - (toldAtMs.get(key) ?? -Infinity)) < TOLD_EVERY_MS) return; // a clock can be set back
      toldAtMs.set(key, atMs);
      const use: KeyUse = { atMs, from };
      const payload = Buffer.from(JSON.stringify(use));
      publisher.publish(topology.keyUseSubject(tenant, key), payload).catch(() => toldAtMs.delete(key));
    },
    async lastUse(tenant, key) {
      const subject = topology.keyUseSubject(tenant, key);
      const query = { last_by_subj: subject };
      const message = await orUnavailable(jsm.direct.getMessage(stream, query), `the last ${subject}`);
      return message === null ? undefined : readUse(message.data);
    },
  };
}

/** A service that was taken over can have anything stored here; the keys must be shown all the same. */
function readUse(data: Uint8Array): KeyUse | undefined {
  try {
    const { atMs, from } = JSON.parse(new TextDecoder().decode(data)) as Partial<Record<keyof KeyUse, unknown>>;
    const isInstant = typeof atMs === 'number' && Math.abs(atMs) <= INSTANT_MAX_MS;
    return isInstant && typeof from === 'string' ? { atMs, from } : undefined;
  } catch {
    return undefined; // no JSON, or null
  }
}
