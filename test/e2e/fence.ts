import { randomUUID } from 'node:crypto';
import { eventually } from '#testkit/eventually';
import { headerOf } from '#testkit/sink-server';
import type { Stage } from './stage.ts';

/**
 * Resolves when delivery and the signer know all that was commanded before the call. Each of them follows REGISTRY on its own, a
 * little behind; of a subscription that it has not heard of it reads everything up to the end first. So they get one that is new.
 *
 * @param workers processes of delivery; of several each has a POSTHASTE_USER_AGENT of its own
 */
export async function fence({ cluster, sink }: Pick<Stage, 'cluster' | 'sink'>, workers = 1): Promise<void> {
  const client = await cluster.createTenantWithKey();
  const at = await sink();
  const type = `fence.${randomUUID()}`;
  await client.subscribe({ sink: at.url, types: [type], config: { validation: { mode: 'none' } } });
  let published = 0;
  await eventually(async () => {
    const id = String(published++);
    await client.publishEvent({ specversion: '1.0', id, source: '/fence', type });
    await at.waitFor(published);
    return new Set(at.received.map((one) => headerOf(one, 'user-agent'))).size >= workers;
  });
}
