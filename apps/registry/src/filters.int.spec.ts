import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { BusModule } from '#bus/bus.module';
import { connectBus, type Bus } from '#bus/connection';
import { ensureTopology } from '#bus/ensure-topology';
import { attributeOf, type AttributeValue, type CloudEvent } from '#core/event/cloud-event';
import { toNatsMessage } from '#core/event/nats-binding';
import { DATA_DIALECT } from '#core/filter/data-filter';
import type { TenantId } from '#core/ids';
import { startService, type RunningService } from '#platform/bootstrap';
import { loadConfig } from '#platform/config';
import { makeLogger } from '#platform/logger';
import { openDatabase, type Database } from '#store/database';
import { writeEvents } from '#store/write-events';
import { anEvent } from '#testkit/an-event';
import { startNats, type TestNats } from '#testkit/nats';
import { silentStoreLogger, startPostgres, type TestPostgres } from '#testkit/postgres';
import { callApi, type Answer } from '#testkit/tenant-client';
import { silentLogger } from '#testkit/test-bus';
import { configSchema } from './config.ts';
import { RegistryModule } from './registry.module.ts';

const adminToken = 'the-token-of-the-operator';
const deployment = `t${randomBytes(6).toString('hex')}`;
const tenant = 'acme' as TenantId;

let nats: TestNats;
let postgres: TestPostgres;
let db: Database;
let bus: Bus;
let service: RunningService;
let key: string;

const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/subscriptions/filter-cases.json', import.meta.url), 'utf8'),
) as {
  events: Record<string, Record<string, AttributeValue>>;
  cases: { filters: unknown; event: string; deliver: boolean }[];
  rejectOnCreate: { filters: unknown; why: string }[];
};

beforeAll(async () => {
  [nats, postgres] = await Promise.all([startNats(), startPostgres()]);
  const databaseUrl = await postgres.createDatabase();
  db = openDatabase({ url: databaseUrl, logger: silentStoreLogger });
  bus = await connectBus({ servers: nats.url, name: 'test', deployment, logger: silentLogger });
  await ensureTopology(bus);
  const config = loadConfig(configSchema, {
    POSTHASTE_HTTP_PORT: '0',
    POSTHASTE_NATS_URL: nats.url,
    POSTHASTE_DATABASE_URL: databaseUrl,
    POSTHASTE_DEPLOYMENT: deployment,
    POSTHASTE_ADMIN_TOKEN: adminToken,
  });
  const logger = makeLogger({ name: 'registry', level: 'silent' });
  const modules = [BusModule.forRoot({ name: 'registry', config }), RegistryModule];
  service = await startService({ name: 'registry', config, logger, modules });
  await call('PUT', `/v1/tenants/${tenant}`, adminToken);
  key = await aKey(['read']);
});

afterAll(async () => {
  await service.stop();
  await bus.close();
  await db.close();
  await Promise.all([nats.stop(), postgres.stop()]);
});

function call(method: string, path: string, token: string, body?: unknown): Promise<Answer> {
  return callApi(method, `${service.url}${path}`, { headers: { authorization: `Bearer ${token}` }, body });
}

const ask = (body: unknown, token = key) => call('POST', '/v1/filters/test', token, body);

async function aKey(scopes: readonly string[]): Promise<string> {
  const made = await call('POST', `/v1/tenants/${tenant}/keys`, adminToken, { name: 'test', scopes });
  return made.json<{ key: string }>().key;
}

/** An event in EVENTS, as the gateway would store it, and projected. */
async function accept(event: CloudEvent): Promise<void> {
  const { headers, payload } = toNatsMessage(event);
  const [source = '', id = '', type = ''] = ['source', 'id', 'type'].map((name) => attributeOf(event, name));
  const { seq } = await bus.publisher.publish(bus.topology.eventSubject(tenant, type), payload, { headers });
  await writeEvents(db, [{ seq, acceptedAtMs: 0, tenant, source, id, type, attributes: event.attributes }]);
}

describe('POST /v1/filters/test', () => {
  const event = { specversion: '1.0', id: '1', source: '/shop', type: 'order.paid', amount: 5 };

  test('says of every filter what it made of an event', async () => {
    const filters = [
      { any: [{ exact: { type: 'order.open' } }, { sql: 'amount + 1' }, { cesql: 'amount = 5' }] },
      { not: { sql: "gone = ''" } },
      { [DATA_DIALECT]: { '/id': { eq: { decimal: '9007199254740993' } } } },
    ];
    const head = JSON.stringify({ filters, event }).slice(0, -2);
    const answer = await ask(`${head},"data":{"id":9007199254740993}}}`);
    expect(answer.status).toBe(200);
    expect(answer.json()).toEqual({
      match: true,
      trace: [
        {
          verdict: true,
          any: [
            { exact: { type: 'order.open' }, verdict: false, value: { type: 'order.paid' } },
            { sql: 'amount + 1', verdict: false, value: 6, errors: [] },
            { sql: 'amount = 5', verdict: true, value: true, errors: [] },
          ],
        },
        {
          verdict: true,
          not: {
            sql: "gone = ''",
            verdict: false,
            value: false,
            errors: [{ kind: 'missingAttribute', detail: 'The event has no attribute gone', position: 0 }],
          },
        },
        { ...filters[2], verdict: true, value: { '/id': { decimal: '9007199254740993' } } },
      ],
    });
  });

  test('gives every vector its verdict (FD-2 … FD-5)', async () => {
    for (const { filters, event: name, deliver } of vectors.cases.filter((each) => each.filters !== null)) {
      const answer = await ask({ filters, event: vectors.events[name] });
      expect([filters, answer.status, answer.json<{ match: boolean }>().match]).toEqual([filters, 200, deliver]);
    }
  });

  test('refuses what a subscription would refuse, with pointers and positions (SA-6, CQ-9)', async () => {
    for (const { filters, why } of vectors.rejectOnCreate) {
      expect([why, (await ask({ filters, event })).status]).toEqual([why, 400]);
    }
    const answer = await ask({ filters: [{ all: [{ sql: "type = 'x' AND" }] }], event: { ...event, id: '' } });
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      400,
      'application/problem+json; charset=utf-8',
    ]);
    expect(answer.json<{ errors: unknown }>().errors).toEqual([
      {
        rule: 'FD-5',
        pointer: '/filters/0/all/0/sql',
        detail: 'The expression ends here; expected a value (line 1, column 15).',
        position: 14,
      },
      { rule: 'CE-1', pointer: '/event/id', detail: expect.any(String) },
    ]);
  });

  test('warns about what is valid but most likely a mistake (D4)', async () => {
    const answer = await ask({ filters: [{ sql: 'amount = 5 OR amount = 6 AND amount = 7' }], event });
    expect(answer.json()).toMatchObject({
      match: false,
      warnings: [{ pointer: '/filters/0/sql', position: 25, detail: expect.stringContaining('parentheses') }],
    });
  });

  test('takes a stored event by its id, and by its source where there are several', async () => {
    await accept(anEvent({ id: 'stored', source: '/a', type: 'order.paid', data: { total: 5 } }));
    const filters = [{ exact: { type: 'order.paid' } }, { [DATA_DIALECT]: { '/total': { gte: 5 } } }];
    expect((await ask({ filters, eventId: 'stored' })).json()).toMatchObject({ match: true });
    await accept(anEvent({ id: 'stored', source: '/b', type: 'order.open' }));
    expect((await ask({ filters, eventId: 'stored' })).status).toBe(409);
    expect((await ask({ filters, eventId: 'stored', source: '/b' })).json()).toMatchObject({ match: false });
    expect((await ask({ filters, eventId: 'none' })).status).toBe(404);
  });

  test('needs a key that may read or manage, and only takes POST', async () => {
    const body = { filters: [], event };
    expect((await ask(body, await aKey(['manage']))).status).toBe(200);
    expect((await ask(body, await aKey(['publish']))).status).toBe(403);
    expect((await ask(body, 'wrong')).status).toBe(401);
    const get = await call('GET', '/v1/filters/test', key);
    expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST,OPTIONS']);
  });
});
