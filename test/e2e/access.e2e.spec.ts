import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { openDatabase } from '#store/database';
import { eventually } from '#testkit/eventually';
import { silentStoreLogger } from '#testkit/postgres';
import { callApi } from '#testkit/tenant-client';
import { formsOf } from './secret-forms.ts';
import { startStage, type Stage } from './stage.ts';
import { liveWholeLife, type WholeLife } from './whole-life.ts';

jest.setTimeout(120_000);

const masterKey = randomBytes(32);
const GUESSES_PER_MINUTE = 10;

let stage: Stage;

beforeAll(async () => {
  stage = await startStage({
    env: {
      POSTHASTE_MASTER_KEY: masterKey.toString('base64'),
      POSTHASTE_LOG_LEVEL: 'trace',
      POSTHASTE_WRONG_CREDENTIALS_PER_MINUTE: String(GUESSES_PER_MINUTE),
      POSTHASTE_TRUSTED_PROXIES: '127.0.0.0/8',
    },
  });
});

afterAll(() => stage.stop());

describe('no secret', () => {
  let life: WholeLife;
  let needles: readonly (readonly [what: string, text: string])[];

  beforeAll(async () => {
    life = await liveWholeLife(stage, 'acme');
    const secrets = [...life.secrets, ['master key', masterKey.toString('base64')] as const];
    needles = secrets.flatMap(([what, secret]) => formsOf(secret).map((form) => [what, form] as const));
  });

  /** That something is there shows that it was looked at. */
  function expectNone(text: string, there: string): void {
    expect(needles.length).toBeGreaterThan(30);
    expect(text).toContain(there);
    expect(needles.filter(([, form]) => text.includes(form)).map(([what]) => what)).toEqual([]);
  }

  test('is in what any service logs, at the lowest level', () => {
    const services = stage.cluster.services();
    expect(services.length).toBeGreaterThanOrEqual(7);
    for (const { name, log } of services) expectNone(log().join('\n'), `"service":"${name.replace(/-\d+$/, '')}"`);
  });

  test('is in any stream', async () => {
    const nc = await connect({ servers: stage.cluster.natsUrl });
    try {
      const jsm = await jetstreamManager(nc);
      const texts = new Map<string, string>();
      for await (const { config, state } of jsm.streams.list()) {
        let text = '';
        for (let seq = Math.max(1, state.first_seq); seq <= state.last_seq; seq++) {
          const message = await jsm.streams.getMessage(config.name, { seq });
          if (message === null) continue;
          const headers = [...message.header].map((pair) => pair.join(':')).join('\n');
          text += `${message.subject}\n${headers}\n${Buffer.from(message.data).toString('latin1')}\n`;
        }
        texts.set(config.name, text);
      }
      expectNone(texts.get('REGISTRY') ?? '', life.subscription);
      expectNone(texts.get('JOURNAL') ?? '', life.delivery);
      expectNone(texts.get('EVENTS') ?? '', life.event);
      expectNone([...texts.values()].join('\n'), 'keyuse.acme.');
    } finally {
      await nc.close();
    }
  });

  test('is in any row of PostgreSQL', async () => {
    const db = openDatabase({ url: stage.cluster.databaseUrl, logger: silentStoreLogger });
    try {
      const run = <Row>(sql: string) => db.em().getConnection().execute<Row[]>(sql);
      const tables = await run<{ name: string }>(
        `select format('%I.%I', table_schema, table_name) as name from information_schema.tables
         where table_type = 'BASE TABLE' and table_schema not in ('pg_catalog', 'information_schema')`,
      );
      let text = '';
      for (const { name } of tables) {
        const rows = await run<{ row: string }>(`select to_jsonb(t)::text as row from ${name} t`);
        text += rows.map(({ row }) => `${name} ${row}\n`).join('');
      }
      expectNone(text, life.delivery);
      expectNone(text, life.subscription);
    } finally {
      await db.close();
    }
  });

  test('is in any answer to a look-up, its own tenant’s and the operator’s alike', async () => {
    const { client, subscription, event, delivery } = life;
    const paths = [
      ['/v1/subscriptions', subscription],
      [`/v1/subscriptions/${subscription}`, subscription],
      [`/v1/subscriptions/${subscription}/history`, 'secret-rotated'],
      [`/v1/subscriptions/${subscription}/health`, 'circuit'],
      ['/v1/deliveries', delivery],
      [`/v1/deliveries/${delivery}`, 'attempts'],
      ['/v1/dead-letters', delivery],
      [`/v1/events/${event}`, event],
      [`/v1/events/${event}/data`, '{}'],
      ['/v1/redeliveries', 'red_'],
      ['/v1/signing-keys', 'publicKey'],
      ['/v1/audit', 'secret-rotated'],
      ['/v1/tenants/acme', 'acme'],
      ['/v1/tenants/acme/keys', 'key_'],
    ] as const;
    const operator = { authorization: `Bearer ${stage.cluster.adminToken}`, 'posthaste-tenant': 'acme' };
    for (const [path, there] of paths) {
      expectNone((await client.call('GET', path)).text, there);
      expectNone((await client.call('GET', path, { headers: operator })).text, there);
    }
    for (const { url } of stage.cluster.services()) {
      expectNone((await callApi('GET', `${url}/metrics`)).text, 'process_cpu_seconds_total');
    }
  });
});

describe('guessing', () => {
  test('is slowed down by address at both doors, and whoever has a key goes on working from there', async () => {
    const { key } = await stage.cluster.createTenantWithKey();
    const from = '192.0.2.66';
    for (const url of [`${stage.cluster.apiUrl}/v1/subscriptions`, stage.cluster.publishUrl]) {
      const ask = (token: string, address = from) =>
        callApi(url === stage.cluster.publishUrl ? 'POST' : 'GET', url, {
          headers: { authorization: `Bearer ${token}`, 'x-forwarded-for': address },
        });
      for (let i = 0; i < GUESSES_PER_MINUTE; i++)
        expect((await ask(`guess-number-${i}-of-the-token`)).status).toBe(401);
      const refused = await ask('one-guess-more-of-the-token');
      expect([refused.status, refused.json<{ code: string }>().code]).toEqual([429, 'too-many-guesses']);
      expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
      expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(60);
      // The right token would tell that it was right.
      expect((await ask(stage.cluster.adminToken)).status).toBe(429);
      expect([200, 400, 415]).toContain((await ask(key)).status);
      expect((await ask('a-guess-from-somewhere-else', '192.0.2.67')).status).toBe(401);
    }
  });

  test('is in the log with its address as long as it is answered, and is counted', async () => {
    for (const name of ['gateway', 'registry']) {
      const service = stage.cluster.service(name);
      // A line is written after its answer, and comes through a pipe.
      const refusals = await eventually(() => {
        const found = service.log().filter((line) => line.includes('"from":"192.0.2.66"'));
        return found.length >= GUESSES_PER_MINUTE && found;
      });
      expect(refusals).toHaveLength(GUESSES_PER_MINUTE);
      for (const line of refusals) expect(line).toContain('"code":"invalid-credential"');
      expect(refusals.join('\n')).not.toContain('guess-number');
      const metrics = (await callApi('GET', `${service.url}/metrics`)).text;
      expect(metrics).toContain('posthaste_http_refused_total{code="too-many-guesses"} 2');
    }
  });
});
