import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { headers as natsHeaders } from '@nats-io/nats-core';
import { BusModule } from '#bus/bus.module';
import { eventKeyInput, type TenantId } from '#core/ids';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { sha256Hex, shortHash } from '#platform/digest';
import { makeLogger } from '#platform/logger';
import { startNats, type TestNats } from '#testkit/nats';
import { callApi, type PublishAnswer } from '#testkit/tenant-client';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { configSchema } from './config.ts';
import { GatewayModule } from './gateway.module.ts';

const adminToken = 'the-token-of-the-operator';
const [acme, globex] = ['acme', 'globex'] as [TenantId, TenantId];
const source = '/shop';

let nats: TestNats;
let bus: TestBus;
const gateways: RunningService[] = [];

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  for (const id of [acme, globex]) {
    const event = { kind: 'TenantCreated', id, name: id, atMs: 0, by: 'admin' } as const;
    const record = { aggregate: 'tenant', id, tenant: id, event };
    await bus.publisher.publish(bus.topology.registrySubject(id, 'tenant', id), Buffer.from(JSON.stringify(record)));
  }
  for (let count = 0; count < 2; count++) gateways.push(await startGateway());
});

afterAll(async () => {
  for (const gateway of gateways) await gateway.stop();
  await bus.close();
  await nats.stop();
});

function startGateway(): Promise<RunningService> {
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DEPLOYMENT: bus.deployment,
    POSTHASTE_ADMIN_TOKEN: adminToken,
  });
  const name = 'gateway';
  const modules = [BusModule.forRoot({ name, config }), GatewayModule];
  return startService({ name, config, logger: makeLogger({ name, level: 'silent' }), modules });
}

/** Whether the gateway says of an event that it was accepted before. */
async function isDuplicate(tenant: TenantId, id: string, gateway = 0): Promise<boolean> {
  const headers = {
    authorization: `Bearer ${adminToken}`,
    'posthaste-tenant': tenant,
    'content-type': 'application/cloudevents+json',
  };
  const body = JSON.stringify({ specversion: '1.0', id, source, type: 'a.b' });
  const answer = await callApi('POST', `${gateways[gateway]?.url ?? ''}/publish`, { headers, body });
  expect(answer.status).toBe(202);
  return answer.json<PublishAnswer>().events[0]?.duplicate ?? true;
}

/** What a producer of acme does that wants others' events swallowed. */
async function claim(msgId: string): Promise<void> {
  const headers = natsHeaders();
  headers.set('Nats-Msg-Id', msgId);
  const body = JSON.stringify({ specversion: '1.0', id: msgId, source: '/claims', type: 'a.b' });
  const acknowledged = await bus.nc.request(bus.topology.eventSubject(acme, 'a.b'), body, { headers, timeout: 5000 });
  expect(acknowledged.json()).not.toHaveProperty('error');
}

describe('deduplication', () => {
  test('is by source and id, of each tenant for itself, and across all gateways of the installation (CE-2)', async () => {
    expect(await isDuplicate(acme, 'order-1', 0)).toBe(false);
    expect(await isDuplicate(acme, 'order-1', 1)).toBe(true);
    expect(await isDuplicate(globex, 'order-1', 1)).toBe(false);
    expect(await isDuplicate(globex, 'order-1', 0)).toBe(true);
  });

  test('can not be set off by a producer on NATS that knows tenant, source and id of another tenant (CE-2)', async () => {
    const known = eventKeyInput(globex, source, 'order-1042');
    for (const guess of [known, shortHash(known), sha256Hex(known), `${source} order-1042`]) await claim(guess);
    expect(await isDuplicate(globex, 'order-1042')).toBe(false);
    expect(await isDuplicate(globex, 'order-1042')).toBe(true);
  });
});
