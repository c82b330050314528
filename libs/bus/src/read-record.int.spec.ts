import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AckPolicy, DeliverPolicy, type ConsumerConfig } from '@nats-io/jetstream';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import type { ApiKeyId, TenantId } from '#core/ids';
import { eventually } from '#testkit/eventually';
import { startNats, type TestNats } from '#testkit/nats';
import { makeTestBus, type TestBus } from '#testkit/test-bus';
import { WrongLastSequence } from './bus-errors.ts';
import { EncodedHeaders } from './publish-wire.ts';
import { readBackwards } from './read-backwards.ts';
import { readSubject } from './read-subject.ts';
import { openRegistrySnapshot, type RegistrySnapshot } from './registry-snapshot.ts';

const ACME = 'acme' as TenantId;
const KEY = 'key_forged' as ApiKeyId;
const HASH = 'f'.repeat(64);

let nats: TestNats;
let bus: TestBus;
let snapshot: RegistrySnapshot;
let refusedCount = 0;
let made = 0;

beforeAll(async () => {
  nats = await startNats();
  bus = await makeTestBus(nats.url);
  snapshot = await openRegistrySnapshot(bus, { onRefused: () => void refusedCount++ });
});

afterAll(async () => {
  await snapshot.stop();
  await bus.close();
  await nats.stop();
});

const FORGED = JSON.stringify({
  aggregate: 'apikey',
  id: KEY,
  tenant: ACME,
  event: {
    kind: 'ApiKeyCreated',
    id: KEY,
    tenant: ACME,
    hash: HASH,
    name: 'forged',
    scopes: ['admin'],
    atMs: 1,
    by: 'admin',
  },
} satisfies RegistryRecord);

const ownSubject = (): string => bus.topology.registrySubject(ACME, 'apikey', KEY);

function aTenant(name: string, id = `t${++made}` as TenantId): RegistryRecord {
  return { aggregate: 'tenant', id, tenant: id, event: { kind: 'TenantCreated', id, name, atMs: 1, by: 'admin' } };
}

const subjectOf = ({ tenant, aggregate, id }: RegistryRecord): string =>
  bus.topology.registrySubject(tenant, aggregate, id);

/** As the registry does it. */
async function append(record: RegistryRecord, expectedLastSubjectSeq = 0): Promise<number> {
  const payload = Buffer.from(JSON.stringify(record));
  const { seq } = await bus.publisher.publish(subjectOf(record), payload, { expectedLastSubjectSeq });
  return seq;
}

/** Publishes with whatever bytes as headers, and answers the sequence. */
async function publishRaw(subject: string, headerLines: string, data: string): Promise<number> {
  const headers = new EncodedHeaders(Buffer.from(`NATS/1.0\r\n${headerLines}`));
  return (await bus.nc.request(subject, data, { headers, timeout: 30_000 })).json<{ seq: number }>().seq;
}

const storeEvent = (headerLines: string, data = FORGED): Promise<number> =>
  publishRaw(bus.topology.eventSubject(ACME, 'x'), headerLines, data);

async function lastSeq(): Promise<number> {
  return (await bus.jsm.streams.info(bus.topology.streams.REGISTRY)).state.last_seq;
}

/** Asks the server something, and names a subject of REGISTRY for the answer. Resolves when that is stored. */
async function haveAnswered(subject: string, question: string, body: string | object): Promise<void> {
  const before = await lastSeq();
  bus.nc.publish(question, typeof body === 'string' ? body : JSON.stringify(body), { reply: subject });
  await eventually(async () => (await lastSeq()) > before);
}

const directGet = (stream: 'EVENTS' | 'REGISTRY'): string => `$JS.API.DIRECT.GET.${bus.topology.streams[stream]}`;

/** A consumer from a sequence on, and the subject to ask it on. */
async function makeConsumer(
  stream: 'EVENTS' | 'REGISTRY',
  fromSeq: number,
  more: Partial<ConsumerConfig> = {},
): Promise<string> {
  const name = `c${++made}`;
  await bus.jsm.consumers.add(bus.topology.streams[stream], {
    name,
    ack_policy: AckPolicy.None,
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: fromSeq,
    ...more,
  });
  return `$JS.API.CONSUMER.MSG.NEXT.${bus.topology.streams[stream]}.${name}`;
}

/** The fold goes on with what follows, and has nothing of what was forged. */
async function expectNothingForged(): Promise<void> {
  const next = aTenant('next');
  await append(next);
  await snapshot.catchUp();
  expect(snapshot.tenant(next.id as TenantId)).toMatchObject({ name: 'next' });
  expect(snapshot.apiKeyByHash(HASH)).toBeUndefined();
  expect(snapshot.isLive()).toBe(true);
}

async function expectRefused(count: number, forge: () => Promise<unknown>): Promise<void> {
  await snapshot.catchUp();
  const before = refusedCount;
  await forge();
  await expectNothingForged();
  expect(refusedCount - before).toBe(count);
}

describe('an answer of the server that is stored in REGISTRY', () => {
  test.each([
    ['with the headers of any event', 'Nats-Msg-Id: forged-1\r\n\r\n'],
    ['with headers that do not end', 'Nats-Msg-Id: forged-2\r\nX: abcd\r\n'],
    ['with a name that is none', 'Nats-Msg-Id: forged-3\r\na b: c\r\n\r\n'],
  ])('is refused when it is that to a direct get, %s', async (_what, headerLines) => {
    const seq = await storeEvent(headerLines);
    await expectRefused(1, () => haveAnswered(ownSubject(), directGet('EVENTS'), { seq }));
  });

  test('is refused when it is that to a direct get without headers', async () => {
    const seq = await storeEvent('Nats-Msg-Id: forged-4\r\n\r\n');
    await expectRefused(1, () => haveAnswered(ownSubject(), directGet('EVENTS'), { seq, no_hdr: true }));
  });

  test('is refused when it is an old record under its own subject', async () => {
    const before = aTenant('before');
    const id = before.id as TenantId;
    const seq = await append(before);
    const last = await append(aTenant('after', id), seq);
    await expectRefused(1, () => haveAnswered(subjectOf(before), directGet('REGISTRY'), { seq, no_hdr: true }));
    expect(snapshot.tenant(id)).toMatchObject({ name: 'after' });

    // It stands there all the same, and the next append has to expect it.
    await expect(append(aTenant('later', id), last)).rejects.toThrow(WrongLastSequence);
    await append(aTenant('later', id), snapshot.lastSeqOf(subjectOf(before)));
    await expectNothingForged();
    expect(snapshot.tenant(id)).toMatchObject({ name: 'later' });
  });

  test('is refused when a consumer delivers it: it is stored under the subject that it had', async () => {
    const seq = await storeEvent('Nats-Msg-Id: forged-5\r\n\r\n');
    const next = await makeConsumer('EVENTS', seq);
    await expectRefused(1, () => haveAnswered(ownSubject(), next, ''));
    await makeConsumer('EVENTS', await storeEvent('Nats-Msg-Id: forged-6\r\n\r\n'), { deliver_subject: ownSubject() });
    await expectNothingForged();
  });

  test('is not even stored when a consumer delivers an old record: it still has the sequence that it expected', async () => {
    const record = aTenant('before');
    // Without an id, as if it were long ago: while the server knows the id, it takes the message for a duplicate.
    const write = (expected: number) =>
      publishRaw(subjectOf(record), `Nats-Expected-Last-Subject-Sequence: ${expected}\r\n\r\n`, JSON.stringify(record));
    const first = await write(0);
    const second = await write(first);
    const next = await makeConsumer('REGISTRY', first);
    const delivered = bus.nc.subscribe('delivered', { max: 1 });
    bus.nc.publish(next, '', { reply: subjectOf(record) });
    bus.nc.publish(next, '', { reply: 'delivered' });
    for await (const later of delivered) expect(later.string()).toBe(JSON.stringify(record));
    expect(await append(aTenant('next'))).toBe(second + 1);
  });

  test('is refused when it is one of the JetStream API', async () => {
    const { EVENTS, REGISTRY } = bus.topology.streams;
    await expectRefused(2, async () => {
      await haveAnswered(ownSubject(), `$JS.API.STREAM.INFO.${EVENTS}`, '');
      await haveAnswered(ownSubject(), `$JS.API.STREAM.MSG.GET.${REGISTRY}`, { seq: 1 });
    });
  });

  test('is in no history and no audit', async () => {
    const record = aTenant('told');
    const subject = subjectOf(record);
    const first = await append(record);
    const event = await storeEvent('Nats-Msg-Id: forged-7\r\na b: c\r\n\r\n');
    await haveAnswered(subject, directGet('EVENTS'), { seq: event });
    await haveAnswered(subject, directGet('REGISTRY'), { seq: first, no_hdr: true });
    await snapshot.catchUp();
    const last = await append(aTenant('again', record.id as TenantId), snapshot.lastSeqOf(subject));
    const stream = bus.topology.streams.REGISTRY;

    expect(await readSubject(bus, { stream, subject, lastSeq: last })).toHaveLength(2);
    const seqs: number[] = [];
    for await (const message of readBackwards(bus, { stream, subject })) seqs.push(message.seq);
    expect(seqs).toEqual([last, first]);
  });
});

describe('a message of REGISTRY', () => {
  test.each([
    ['nothing', 'Nats-Msg-Id: n1', ''],
    ['no JSON', 'Nats-Msg-Id: n2', '{]'],
    ['no object', 'Nats-Msg-Id: n3', 'null'],
    ['the record of another subject', 'Nats-Msg-Id: n4', JSON.stringify(aTenant('other', ACME))],
    ['no event', 'Nats-Msg-Id: n5', `{"aggregate":"apikey","tenant":"acme","id":"${KEY}"}`],
    ['no headers', '', FORGED],
    ['headers that are none', 'a b: c\r\nNats-Msg-Id: n6', FORGED],
  ])('is left out when it has %s, and what follows is folded', async (_what, headerLine, data) => {
    await expectRefused(1, () => publishRaw(ownSubject(), `${headerLine}\r\n\r\n`, data));
  });
});
