import { Pool } from 'undici';
import { setTimeout as delay } from 'node:timers/promises';
import type { TenantClient } from '#testkit/tenant-client';

export interface LoadOptions {
  readonly client: TenantClient;
  readonly publishUrl: string;
  readonly type: string;
  readonly count: number;
  /** Events per second; unset: as fast as they are accepted. */
  readonly ratePerSecond?: number;
}

export interface Load {
  /** Ids of the events that were answered with 202, so far. */
  readonly accepted: ReadonlySet<string>;
  /** Requests that were answered otherwise or not at all, and sent again with the same id. */
  refusedCount(): number;
  /** Resolves when every event was accepted; rejects when one was not for {@link GIVE_UP_MS}. */
  readonly done: Promise<void>;
}

const CONCURRENCY = 32;
const RETRY_DELAY_MS = 100;
const GIVE_UP_MS = 60_000;

/** A producer as it should be: what is not answered with 202 is sent again, with the same id, until it is. */
export function startLoad({ client, publishUrl, type, count, ratePerSecond }: LoadOptions): Load {
  const { origin, pathname } = new URL(publishUrl);
  const pool = new Pool(origin, { connections: CONCURRENCY, headersTimeout: 15_000 });
  const accepted = new Set<string>();
  const startedAt = performance.now();
  let refused = 0;
  let next = 0;

  async function isAccepted(id: string): Promise<boolean> {
    try {
      const { statusCode, body } = await pool.request({
        method: 'POST',
        path: pathname,
        headers: {
          authorization: `Bearer ${client.key}`,
          'ce-specversion': '1.0',
          'ce-id': id,
          'ce-source': '/load',
          'ce-type': type,
          'content-type': 'application/json',
        },
        body: `{"n":${id}}`,
      });
      await body.dump();
      return statusCode === 202;
    } catch {
      return false;
    }
  }

  async function publish(id: string): Promise<void> {
    const giveUpAt = performance.now() + GIVE_UP_MS;
    while (!(await isAccepted(id))) {
      refused++;
      if (performance.now() > giveUpAt) throw new Error(`event ${id} was not accepted within ${GIVE_UP_MS} ms`);
      await delay(RETRY_DELAY_MS);
    }
    accepted.add(id);
  }

  async function work(): Promise<void> {
    while (next < count) {
      const n = next++;
      const dueInMs = ratePerSecond === undefined ? 0 : (n / ratePerSecond) * 1000 - (performance.now() - startedAt);
      if (dueInMs > 0) await delay(dueInMs);
      await publish(String(n));
    }
  }

  const done = Promise.all(Array.from({ length: CONCURRENCY }, work)).then(() => pool.close());
  return { accepted, refusedCount: () => refused, done };
}
