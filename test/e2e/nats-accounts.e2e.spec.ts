import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '#testkit/eventually';
import { startStage, type Stage } from './stage.ts';
import { liveWholeLife } from './whole-life.ts';

jest.setTimeout(120_000);

const USERS = ['gateway', 'matcher', 'delivery', 'signer', 'registry', 'projector', 'acme', 'globex'];
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
  const nc = await connect({ servers: stage.cluster.natsUrl, user, pass: password, maxReconnectAttempts: 0 });
  connections.push(nc);
  const refusals: string[] = [];
  void (async () => {
    for await (const status of nc.status()) if (status.type === 'error') refusals.push(status.error.message);
  })();
  return { nc, refusals };
}

describe('the accounts in deploy/nats/accounts.conf', () => {
  test('every service does all of its work as its own user', async () => {
    await liveWholeLife(stage, 'acme');
    expect(refusedIn(stage)).toEqual([]);
  });

  test('a producer of a tenant publishes for it with the acknowledgement of JetStream', async () => {
    const { nc } = await connectAs('acme-producer', passwordOf('acme'));
    const event = { specversion: '1.0', id: 'accounts-2', source: '/acme', type: 'com.example.contact.updated' };
    const answer = await nc.request('ce.acme.com.example.contact.updated', JSON.stringify(event), { timeout: 5_000 });
    expect(answer.json()).toMatchObject({ stream: 'EVENTS', seq: expect.any(Number) });
  });

  test.each([
    ['events of another tenant', 'ce.globex.com.example.contact.updated'],
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
    await expect(jetstreamManager(nc, { timeout: 1_000 })).rejects.toThrow('ermission');

    const globex = await connectAs('globex-producer', passwordOf('globex'));
    const answer = await globex.nc.request('ce.globex.any', '{}', { timeout: 5_000 }); // stored, so it has passed by
    expect(answer.json()).toMatchObject({ stream: 'EVENTS' });
    await nc.flush();
    expect(seen).toEqual([]);
  });

  test.each([
    ['gateway', 'registry.acme.subscription.sub_x'],
    ['gateway', 'journal.acme.attempt'],
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
    await expect(jetstream(nc, { timeout: 2_000 }).publish(subject, '{}')).rejects.toThrow('ermission');
  });

  test('a gateway can write what it is there for', async () => {
    const { nc } = await connectAs('gateway');
    expect(await jetstream(nc).publish('ce.acme.x', '{}')).toMatchObject({ stream: 'EVENTS' });
  });
});

describe('the streams', () => {
  test.each(['gateway', 'matcher', 'delivery', 'signer', 'projector'])(
    'can not be changed or emptied by a %s',
    async (user) => {
      const { nc } = await connectAs(user);
      const jsm = await jetstreamManager(nc, { timeout: 2_000 });
      const before = await lastSequence();
      await expect(jsm.streams.purge('RETRIES')).rejects.toThrow('ermission');
      await expect(jsm.streams.delete('EVENTS')).rejects.toThrow('ermission');
      await expect(jsm.streams.update('JOURNAL', { max_msgs: 1 })).rejects.toThrow('ermission');
      await expect(jsm.consumers.delete('REGISTRY', 'redeliveries')).rejects.toThrow('ermission');
      expect(await lastSequence()).toBe(before);
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
