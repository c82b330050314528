import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers as natsHeaders, type NatsConnection } from '@nats-io/transport-node';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { WrongLastSequence } from '#bus/bus-errors';
import { connectBus } from '#bus/connection';
import { inboxPrefixOf } from '#bus/inbox';
import { makeTopology } from '#bus/topology';
import { sha256Hex } from '#platform/digest';
import { eventually } from '#testkit/eventually';
import { callApi } from '#testkit/tenant-client';
import { silentLogger } from '#testkit/test-bus';
import { startStage, type Stage } from './stage.ts';
import { liveWholeLife } from './whole-life.ts';

jest.setTimeout(180_000);

const SERVICES = ['gateway', 'matcher', 'delivery', 'signer', 'registry', 'projector'];
const USERS = [...SERVICES, 'acme', 'globex'];
const passwords = new Map(USERS.map((user) => [user, `p${randomBytes(12).toString('hex')}`]));
const passwordOf = (user: string): string => passwords.get(user) ?? '';

let stage: Stage;
const connections: NatsConnection[] = [];

/** A cluster in which each service is the user of its name. The janitor is given the URL like all others, and does not use it. */
function startWith(accountsFile: string, env: Record<string, string> = {}): Promise<Stage> {
  const variables = USERS.map((user) => [`POSTHASTE_NATS_PASSWORD_${user.toUpperCase()}`, passwordOf(user)]);
  return startStage({
    env,
    natsAccounts: { file: accountsFile, env: Object.fromEntries(variables) as Record<string, string> },
    natsUser: (app) => `${app}:${passwordOf(app)}`,
  });
}

/** At the very first start whoever is faster than the registry is told that it may not make what is not there yet. */
function refusedIn({ cluster }: Stage): string[] {
  const lines = cluster.services().flatMap(({ name, log }) => log().map((line) => `${name}: ${line}`));
  return lines.filter(
    (line) => line.includes('ermissions Violation') && !/JS\.API\.(STREAM|CONSUMER)\.CREATE\./.test(line),
  );
}

beforeAll(async () => {
  stage = await startWith(resolve('deploy/nats/accounts.conf'));
});

afterAll(async () => {
  await Promise.all(connections.map((nc) => nc.close()));
  await stage.stop();
});

/** What the server refused to this connection arrives as a status, after the flush. */
async function connectAs(user: string, password = passwordOf(user)) {
  const inboxes = SERVICES.includes(user) ? { inboxPrefix: inboxPrefixOf(user) } : {};
  const server = { servers: stage.cluster.natsUrl, maxReconnectAttempts: 0 };
  const nc = await connect({ ...server, ...inboxes, user, pass: password });
  connections.push(nc);
  const refusals: string[] = [];
  void (async () => {
    for await (const status of nc.status()) if (status.type === 'error') refusals.push(status.error.message);
  })();
  return { nc, refusals };
}

describe('the accounts in deploy/nats/accounts.conf', () => {
  test('every service does all of its work as its own user, and a gateway hears nothing of what others are answered', async () => {
    const { nc, refusals } = await connectAs('gateway');
    const heard: string[] = [];
    const listen = (subject: string): void => {
      nc.subscribe(subject, { callback: (error, message) => void (error === null && heard.push(message.subject)) });
    };
    const others = ['_INBOX_delivery.>', '_INBOX_registry.>', 'signer.>'];
    const everything = ['>', '*.>', '_INBOX.>', ...others];
    for (const subject of everything) listen(subject);
    await nc.flush();
    await eventually(() => refusals.length === everything.length);

    const delivery = await connectAs('delivery');
    const registry = await connectAs('registry');
    let answersToThem = 0;
    delivery.nc.subscribe('_INBOX_delivery.>', { callback: () => void answersToThem++ });
    registry.nc.subscribe('_INBOX_registry.>', { callback: () => void answersToThem++ });
    await liveWholeLife(stage, 'acme'); // secrets are sealed, notifications are signed
    await delivery.nc.request('signer.certificate', '{}', { timeout: 30_000 });
    expect(refusedIn(stage)).toEqual([]);
    expect(answersToThem).toBeGreaterThan(0);
    await nc.flush();
    expect(heard).toEqual([]);
  });

  test('a producer of a tenant publishes for it with the acknowledgement of JetStream', async () => {
    const { nc } = await connectAs('acme-producer', passwordOf('acme'));
    const event = { specversion: '1.0', id: 'accounts-2', source: '/acme', type: 'com.example.contact.updated' };
    const answer = await nc.request('ce.acme.com.example.contact.updated', JSON.stringify(event), { timeout: 30_000 });
    expect(answer.json()).toMatchObject({ stream: 'EVENTS', seq: expect.any(Number) });
  });

  test.each([
    ['events of another tenant', 'ce.globex.com.example.contact.updated'],
    ['what the server stores its events under', 'ce-p.15.acme.com.example.contact.updated'],
    ['what only Posthaste tells', 'ce.acme.io.posthaste.subscription.disabled'],
    ['the registry', 'registry.acme.subscription.sub_x'],
    ['a delivery', 'deliver.0.sub_x'],
    ['the JetStream API', '$JS.API.STREAM.INFO.EVENTS'],
  ])('it can not publish %s', async (_what, subject) => {
    const { nc, refusals } = await connectAs('acme-producer', passwordOf('acme'));
    const before = await lastSequence();
    nc.publish(subject, '{}');
    await nc.flush();
    await eventually(() => refusals.some((message) => message.includes(subject)));
    expect(await lastSequence()).toBe(before);
  });

  test('it reads nothing: neither its own events nor those of others, on any subject', async () => {
    const { nc, refusals } = await connectAs('acme-producer', passwordOf('acme'));
    const seen: string[] = [];
    for (const subject of ['ce.>', 'journal.>', 'signer.>', '>']) {
      nc.subscribe(subject, { callback: (error, message) => void (error === null && seen.push(message.subject)) });
    }
    await nc.flush();
    await eventually(() => refusals.length === 4);
    await expect(jetstreamManager(nc, { timeout: 30_000 })).rejects.toThrow('ermission');

    const globex = await connectAs('globex-producer', passwordOf('globex'));
    const answer = await globex.nc.request('ce.globex.any', '{}', { timeout: 30_000 }); // stored, so it has passed by
    expect(answer.json()).toMatchObject({ stream: 'EVENTS' });
    await nc.flush();
    expect(seen).toEqual([]);
  });

  test('nats-server tells it of others what README.md says: that there is an event of a type, never what is in it', async () => {
    const globex = await connectAs('globex-producer', passwordOf('globex'));
    const stored = await globex.nc.request('ce.globex.only.once', '{"data":"of globex"}', { timeout: 30_000 });
    const { nc } = await connectAs('acme-producer', passwordOf('acme'));
    const headers = natsHeaders();
    headers.set('Nats-Expected-Last-Subject-Sequence', '0');
    headers.set('Nats-Expected-Last-Subject-Sequence-Subject', 'ce-p.*.globex.only.once');
    const answer = await nc.request('ce.acme.x', '{}', { headers, timeout: 30_000 });
    const { seq } = stored.json<{ seq: number }>();
    expect(answer.json()).toEqual({
      stream: 'EVENTS',
      seq: 0,
      error: { code: 400, err_code: 10071, description: `wrong last sequence: ${seq}` },
    });
  });

  test.each([
    ['gateway', 'registry.acme.subscription.sub_x'],
    ['gateway', 'journal.acme.attempt'],
    ['gateway', 'ce-p.15.acme.com.example.contact.updated'],
    ['matcher', 'registry.acme.subscription.sub_x'],
    ['signer', 'registry.acme.subscription.sub_x'],
    ['signer', 'ce.acme.x'],
    ['delivery', 'ce.acme.x'],
    ['projector', 'journal.acme.attempt'],
    ['registry', 'journal.acme.attempt'],
    ['registry', 'ce.acme.com.example.contact.updated'],
    ['signer', 'deliver.0.sub_x'],
  ])('a %s that was taken over can not write %s', async (user, subject) => {
    const { nc } = await connectAs(user);
    await expect(jetstream(nc, { timeout: 30_000 }).publish(subject, '{}')).rejects.toThrow('ermission');
  });

  test.each([
    ['registry', 'registry.acme.subscription.sub_x'],
    ['delivery', 'circuit.sub_x'],
    ['signer', 'lease.sub_x'],
  ])('a %s is told that another one was faster', async (name, subject) => {
    const servers = stage.cluster.natsUrl.replace('//', `//${name}:${passwordOf(name)}@`);
    const bus = await connectBus({ servers, name, logger: silentLogger });
    const append = bus.publisher.publish(subject, new Uint8Array(), { expectedLastSubjectSeq: 999_999 });
    await expect(append).rejects.toThrow(WrongLastSequence);
    await bus.close();
  });

  test('a gateway can write what it is there for', async () => {
    const { nc } = await connectAs('gateway');
    expect(await jetstream(nc).publish('ce.acme.x', '{}')).toMatchObject({ stream: 'EVENTS' });
  });
});

test('a matcher takes events from every partition, and nothing from the projector', async () => {
  const { nc } = await connectAs('matcher');
  const next = (consumer: string) =>
    nc.request(`$JS.API.CONSUMER.MSG.NEXT.EVENTS.${consumer}`, '{"no_wait":true,"batch":1}', { timeout: 30_000 });
  await expect(next('projector')).rejects.toThrow('ermission');
  for (const ack of ['$JS.ACK.EVENTS.projector.1.1.1.1.0', '$JS.API.CONSUMER.CREATE.EVENTS.projector']) {
    await expect(nc.request(ack, '', { timeout: 30_000 })).rejects.toThrow('ermission');
  }
  for (const consumer of ['matcher', 'matcher-0', 'matcher-15']) {
    expect((await next(consumer)).headers?.code).toBeGreaterThanOrEqual(404);
  }
});

describe('an answer of the server, which it writes wherever it is told', () => {
  const key = `phk_${randomBytes(32).toString('base64url')}`;
  const id = 'key_forged';
  const created = {
    kind: 'ApiKeyCreated',
    id,
    tenant: 'globex',
    hash: sha256Hex(key),
    name: 'x',
    prefix: 'phk_',
    by: 'admin',
  };
  const record = {
    aggregate: 'apikey',
    tenant: 'globex',
    id,
    event: { ...created, scopes: ['admin'], atMs: Date.now() },
  };

  /** An event of the tenant acme that would be an API key of globex, if it stood in REGISTRY. */
  async function storeRecordAsEvent(): Promise<number> {
    const { nc } = await connectAs('acme-producer', passwordOf('acme'));
    const headers = natsHeaders();
    headers.set('Nats-Msg-Id', randomBytes(8).toString('hex'));
    const answer = await nc.request('ce.acme.x', JSON.stringify(record), { headers, timeout: 30_000 });
    return answer.json<{ seq: number }>().seq;
  }

  async function registrySequence(): Promise<number> {
    const { nc } = await connectAs('registry');
    return (await (await jetstreamManager(nc)).streams.info('REGISTRY')).state.last_seq;
  }

  test.each(['gateway', 'matcher', 'signer', 'projector'])(
    'is none of what others store, for a %s that was taken over',
    async (user) => {
      const seq = await storeRecordAsEvent();
      const before = await registrySequence();
      const { nc, refusals } = await connectAs(user);
      for (const api of ['DIRECT.GET.EVENTS', 'STREAM.MSG.GET.EVENTS', 'DIRECT.GET.REGISTRY', 'DIRECT.GET.LANES']) {
        nc.publish(`$JS.API.${api}`, JSON.stringify({ seq }), { reply: `registry.globex.apikey.${id}` });
      }
      await nc.flush();
      await eventually(() => refusals.length === 4);
      expect(await registrySequence()).toBe(before);
    },
  );

  test('makes no API key, and stops no service, when a delivery process that was taken over has it stored in REGISTRY', async () => {
    const seq = await storeRecordAsEvent();
    const before = await registrySequence();
    const { nc } = await connectAs('delivery');
    for (const body of [{ seq }, { seq, no_hdr: true }]) {
      nc.publish('$JS.API.DIRECT.GET.EVENTS', JSON.stringify(body), { reply: `registry.globex.apikey.${id}` });
    }
    await eventually(async () => (await registrySequence()) >= before + 2);

    const { cluster } = stage;
    const client = await cluster.createTenantWithKey(); // a later record, which the services go on with
    await client.publishEvent({
      specversion: '1.0',
      id: 'later',
      source: '/later',
      type: 'com.example.later',
      data: {},
    });
    const authorization = `Bearer ${key}`;
    const answers = [
      await callApi('GET', `${cluster.apiUrl}/v1/subscriptions`, { headers: { authorization } }),
      await callApi('POST', cluster.publishUrl, { headers: { authorization } }),
    ];
    expect(answers.map(({ status }) => status)).toEqual([401, 401]);
    for (const name of ['gateway', 'registry', 'matcher-1', 'delivery-1', 'signer']) {
      await eventually(
        () =>
          cluster
            .service(name)
            .log()
            .filter((line) => line.includes('could not be folded')).length >= 2,
      );
    }
  });

  test('stops no service, whatever stream a gateway that was taken over has it stored in', async () => {
    const pidsBefore = stage.cluster.pids();
    const { nc } = await connectAs('gateway');
    const subjects =
      `deliver.0.sub_x bulk.0.sub_x retry.due.0.sub_x retry.wake.sub_x lane.sub_x wake.sub_x circuit.sub_x lease.sub_x
      validate.ask.acme.sub_x validate.told.acme.sub_x journal.acme.attempt journal.acme.verdict journal.acme.circuit
      journal.acme.redelivered dead.acme.sub_x registry.acme.subscription.sub_x registry.acme.redelivery.rdl_x keyuse.acme.key_x
      signer.sign signer.seal signer.certificate credential.refreshed alive.delivery alive.health projector.rebuild`.split(
        /\s+/,
      );
    for (const reply of subjects) {
      nc.publish('ce.acme.x', 'an event', { reply }); // the acknowledgement is the answer
      nc.publish('$JS.API.STREAM.INFO.REGISTRY', '', { reply });
    }
    await nc.flush();
    await liveWholeLife(stage, 'globex');
    expect(stage.cluster.pids()).toEqual(pidsBefore);
  });
});

describe('the streams', () => {
  test.each(['gateway', 'matcher', 'delivery', 'signer', 'projector'])(
    'can not be changed or emptied by a %s',
    async (user) => {
      const { nc } = await connectAs(user);
      const jsm = await jetstreamManager(nc, { timeout: 30_000 });
      const before = await lastSequence();
      await expect(jsm.streams.purge('RETRIES')).rejects.toThrow('ermission');
      await expect(jsm.streams.delete('EVENTS')).rejects.toThrow('ermission');
      await expect(jsm.streams.update('JOURNAL', { max_msgs: 1 })).rejects.toThrow('ermission');
      await expect(jsm.consumers.delete('REGISTRY', 'redeliveries')).rejects.toThrow('ermission');
      expect(await lastSequence()).toBe(before);
    },
  );
});

describe('the consumers of REGISTRY', () => {
  const topology = makeTopology();
  const consumers = topology
    .consumerConfigs()
    .filter(({ stream }) => stream === topology.streams.REGISTRY)
    .map(({ config }) => config.durable_name);

  test.each(['gateway', 'matcher', 'delivery', 'signer', 'projector'])(
    'are not changed, deleted or read by a %s that was taken over, but its own',
    async (user) => {
      const { nc } = await connectAs(user);
      for (const consumer of consumers.filter((name) => name !== user)) {
        // Who creates one that is there changes it.
        for (const api of [
          `CREATE.REGISTRY.${consumer}`,
          `CREATE.REGISTRY.${consumer}.registry.none.none.none`,
          `DELETE.REGISTRY.${consumer}`,
          `MSG.NEXT.REGISTRY.${consumer}`,
        ]) {
          const asked = nc.request(`$JS.API.CONSUMER.${api}`, '{}', { timeout: 30_000 });
          await expect(asked).rejects.toThrow('ermission');
        }
      }
    },
  );
});

async function lastSequence(): Promise<number> {
  const { nc } = await connectAs('registry');
  const jsm = await jetstreamManager(nc);
  return (await jsm.streams.info('EVENTS')).state.last_seq;
}

describe('the accounts of an installation with a name', () => {
  test('are made by with-deployment.sh, and let its services do all of their work', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'posthaste-accounts-'));
    const file = join(directory, 'accounts.conf');
    const { stdout } = await promisify(execFile)(resolve('deploy/nats/with-deployment.sh'), ['blue']);
    await writeFile(file, stdout);
    const blue = await startWith(file, { POSTHASTE_DEPLOYMENT: 'blue' });
    try {
      await liveWholeLife(blue, 'acme');
      expect(refusedIn(blue)).toEqual([]);
    } finally {
      await blue.stop();
      await rm(directory, { recursive: true });
    }
  });
});
