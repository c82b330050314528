import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { randomBytes } from 'node:crypto';
import { resolve } from 'node:path';
import { eventually } from '#testkit/eventually';
import { CONTACT_TYPE } from './contact-event.ts';
import { startStage, type Stage } from './stage.ts';

jest.setTimeout(120_000);

const USERS = ['gateway', 'matcher', 'delivery', 'signer', 'registry', 'projector', 'janitor', 'acme', 'globex'];
const passwords = new Map(USERS.map((user) => [user, `p${randomBytes(12).toString('hex')}`]));
const passwordOf = (user: string): string => passwords.get(user) ?? '';

let stage: Stage;
const connections: NatsConnection[] = [];

beforeAll(async () => {
  stage = await startStage({
    natsAccounts: {
      file: resolve('deploy/nats/accounts.conf'),
      env: Object.fromEntries(USERS.map((user) => [`POSTHASTE_NATS_PASSWORD_${user.toUpperCase()}`, passwordOf(user)])),
    },
    natsUser: (app) => `${app}:${passwordOf(app)}`,
  });
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
  test('every service runs with its own user, and an event goes all the way', async () => {
    const tenant = await stage.cluster.createTenantWithKey('acme');
    const sink = await stage.sink();
    await tenant.subscribe({ sink: sink.url });
    await tenant.publishEvent({ specversion: '1.0', id: 'accounts-1', source: '/acme', type: CONTACT_TYPE, data: {} });
    await sink.waitFor(1);
    await eventually(async () => (await tenant.call('GET', '/v1/deliveries?state=delivered')).text.includes('dlv_'));
    expect(stage.cluster.complaints()).not.toContain('ermission');
  });

  test('a producer of a tenant publishes for it with the acknowledgement of JetStream', async () => {
    const { nc } = await connectAs('acme-producer', passwordOf('acme'));
    const event = { specversion: '1.0', id: 'accounts-2', source: '/acme', type: 'com.example.contact.updated' };
    const answer = await nc.request('ce.acme.com.example.contact.updated', JSON.stringify(event), { timeout: 5_000 });
    expect(answer.json()).toMatchObject({ stream: 'EVENTS', seq: expect.any(Number) });
  });

  test.each([
    ['events of another tenant', 'ce.globex.com.example.contact.updated'],
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
    await expect(jetstreamManager(nc, { timeout: 1_000 })).rejects.toThrow();

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
  ])('a %s that was taken over can not write %s', async (user, subject) => {
    const { nc } = await connectAs(user);
    await expect(jetstream(nc, { timeout: 2_000 }).publish(subject, '{}')).rejects.toThrow();
  });
});

async function lastSequence(): Promise<number> {
  const { nc } = await connectAs('registry');
  const jsm = await jetstreamManager(nc);
  return (await jsm.streams.info('EVENTS')).state.last_seq;
}
