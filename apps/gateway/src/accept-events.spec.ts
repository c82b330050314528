import { describe, expect, test } from '@jest/globals';
import { ATTRIBUTES_MAX_BYTES } from '#core/event/event-size';
import type { TenantId } from '#core/ids';
import { makeAcceptEvents, type AcceptPorts } from './accept-events.ts';

const STRUCTURED = ['content-type', 'application/cloudevents+json'] as const;
const BATCH = ['content-type', 'application/cloudevents-batch+json'] as const;

function recorder({ maxEventBytes = 1000, ...overrides }: Partial<AcceptPorts> & { maxEventBytes?: number } = {}) {
  const stored: { subject: string; msgId: string; headers: readonly (readonly [string, string])[] }[] = [];
  const seen = new Set<string>();
  const ports: AcceptPorts = {
    publish(subject, _payload, { msgId, headers }) {
      const duplicate = seen.has(msgId);
      seen.add(msgId);
      stored.push({ subject, msgId, headers });
      return Promise.resolve({ seq: stored.length, duplicate });
    },
    eventSubject: (tenant, type) => `ce.${tenant}.${type}`,
    deduplicationIdOf: (tenant, source, id) => `${tenant} ${source} ${id}`,
    ...overrides,
  };
  const acceptEvents = makeAcceptEvents(ports, { maxEventBytes });
  const accept = (headers: readonly (readonly [string, string])[], body: string, traceparent?: string) =>
    acceptEvents({
      tenant: 'acme' as TenantId,
      headers,
      body: Buffer.from(body),
      ...(traceparent === undefined ? {} : { traceparent }),
    });
  const publish = (header: readonly [string, string], body: string, traceparent?: string) =>
    accept([header], body, traceparent);
  return { stored, accept, publish };
}

function eventJson(id: string, extra = ''): string {
  return `{"specversion":"1.0","id":"${id}","source":"/s","type":"a.b"${extra}}`;
}

function eventOfType(type: string): string {
  return `{"specversion":"1.0","id":"e1","source":"/s","type":"${type}"}`;
}

function binaryOfType(type: string): [string, string][] {
  return [
    ['ce-specversion', '1.0'],
    ['ce-id', 'e1'],
    ['ce-source', '/s'],
    ['ce-type', type],
  ];
}

describe('accepting events', () => {
  test('it stores an event on the subject of its tenant and type, and answers with its names', async () => {
    const { stored, publish } = recorder();
    const acceptance = await publish(STRUCTURED, eventJson('e1'));
    expect(acceptance).toEqual({ kind: 'accepted', events: [{ id: 'e1', source: '/s', duplicate: false }] });
    expect(stored.map(({ subject }) => subject)).toEqual(['ce.acme.a.b']);
  });

  test('it recognises the same source and id as a duplicate (CE-2)', async () => {
    const { publish } = recorder();
    await publish(STRUCTURED, eventJson('e1'));
    const again = await publish(STRUCTURED, eventJson('e1', ',"subject":"x"'));
    expect(again).toMatchObject({ events: [{ duplicate: true }] });
  });

  test('it carries the trace of the request beside the event', async () => {
    const { stored, publish } = recorder();
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    await publish(STRUCTURED, eventJson('e1'), traceparent);
    expect(stored[0]?.headers).toContainEqual(['traceparent', traceparent]);
    expect(stored[0]?.headers.some(([name]) => name === 'ce-traceparent')).toBe(false);
  });

  test.each(['', '00-trace', 'x'.repeat(70_000)])('it does not carry what is no trace', async (traceparent) => {
    const { stored, publish } = recorder();
    await publish(STRUCTURED, eventJson('e1'), traceparent);
    expect(stored[0]?.headers.some(([name]) => name === 'traceparent')).toBe(false);
  });

  test('it stores nothing of a batch with one bad member, and names every bad one (JF-8)', async () => {
    const { stored, publish } = recorder();
    const acceptance = await publish(BATCH, `[${eventJson('e1')},{"id":"e2"},${eventJson('e3')},7]`);
    expect(acceptance.kind).toBe('invalid');
    const pointers = acceptance.kind === 'accepted' ? [] : acceptance.violations.map(({ pointer }) => pointer);
    expect(pointers.some((pointer) => pointer.startsWith('/1'))).toBe(true);
    expect(pointers.some((pointer) => pointer.startsWith('/3'))).toBe(true);
    expect(stored).toEqual([]);
  });

  test('it accepts an empty batch as nothing to do (JF-8)', async () => {
    const { publish } = recorder();
    expect(await publish(BATCH, '[]')).toEqual({ kind: 'accepted', events: [] });
  });

  test('it refuses an event above the limit and says how large it is (CE-12)', async () => {
    const { stored, publish } = recorder({ maxEventBytes: 100 });
    const acceptance = await publish(BATCH, `[${eventJson('e1')},${eventJson('e2', `,"data":"${'x'.repeat(200)}"`)}]`);
    expect(acceptance).toMatchObject({ kind: 'too_large', violations: [{ rule: 'CE-12', pointer: '/1' }] });
    expect(stored).toEqual([]);
  });

  test('it refuses attributes that would not fit into the facts about the event (CE-12)', async () => {
    const { stored, publish } = recorder({ maxEventBytes: 8_000_000 });
    const acceptance = await publish(STRUCTURED, eventJson('e1', `,"large":"${'x'.repeat(ATTRIBUTES_MAX_BYTES)}"`));
    expect(acceptance).toMatchObject({ kind: 'too_large', violations: [{ rule: 'CE-12', pointer: '' }] });
    expect(stored).toEqual([]);
  });

  test.each([
    ['structured', [STRUCTURED], eventOfType('io.posthaste.delivery.dead'), '/type'],
    ['batch', [BATCH], `[${eventJson('e1')},${eventOfType('io.posthaste.x')}]`, '/1/type'],
    ['binary', binaryOfType('io.posthaste.subscription.disabled'), '', 'ce-type'],
  ])('it refuses the type of an operational event in %s mode, and says where it stands', async (...given) => {
    const [, headers, body, pointer] = given;
    const { stored, accept } = recorder();
    expect(await accept(headers, body)).toMatchObject({
      kind: 'invalid',
      violations: [{ rule: 'reserved-type', pointer, detail: expect.stringContaining('under a domain of yours') }],
    });
    expect(stored).toEqual([]);
    expect((await accept([STRUCTURED], eventOfType('io.posthastes.own'))).kind).toBe('accepted');
  });

  test('it stores attributes that are too large for message headers in structured mode (CE-12)', async () => {
    const { stored, publish } = recorder({ maxEventBytes: 1_000_000 });
    await publish(STRUCTURED, eventJson('e1', `,"large":"${'x'.repeat(70_000)}"`));
    await publish(STRUCTURED, eventJson('e2', `,"small":"${'x'.repeat(50_000)}"`));
    expect(stored.map(({ headers }) => headers[0]?.[0])).toEqual(['content-type', expect.stringMatching(/^ce-/)]);
  });

  test('it names no more than 1000 events of a batch that have such a type', async () => {
    const { publish } = recorder();
    const acceptance = await publish(BATCH, `[${Array(3000).fill(eventOfType('io.posthaste.x')).join()}]`);
    expect(acceptance.kind !== 'accepted' && acceptance.violations).toHaveLength(1000);
  });

  test('it stores a large batch piece by piece, so that others get on beside it, and answers in its order', async () => {
    let underWay = 0;
    let most = 0;
    const { publish } = recorder({
      async publish(_subject, _payload, { msgId }) {
        most = Math.max(most, ++underWay);
        for (let turns = msgId.length % 3; turns >= 0; turns--) await Promise.resolve();
        underWay--;
        return { seq: 1, duplicate: false };
      },
    });
    const ids = Array.from({ length: 2000 }, (_, i) => `e${i}`);
    const acceptance = await publish(BATCH, `[${ids.map((id) => eventJson(id)).join()}]`);
    expect(acceptance.kind === 'accepted' && acceptance.events.map(({ id }) => id)).toEqual(ids);
    expect(most).toBe(256);
  });

  test('it begins no more of a batch of which one event could not be stored', async () => {
    let begun = 0;
    const { publish } = recorder({
      async publish() {
        if (++begun === 300) throw new Error('no leader');
        await Promise.resolve();
        return { seq: 1, duplicate: false };
      },
    });
    const batch = `[${Array.from({ length: 2000 }, (_, i) => eventJson(`e${i}`)).join()}]`;
    await expect(publish(BATCH, batch)).rejects.toThrow('no leader');
    expect(begun).toBeLessThan(300 + 2 * 256);
  });

  test('it fails when one event of a batch can not be stored, so that the producer sends all of it again', async () => {
    let calls = 0;
    const { publish } = recorder({
      publish: () =>
        ++calls === 2 ? Promise.reject(new Error('no leader')) : Promise.resolve({ seq: 1, duplicate: false }),
    });
    await expect(publish(BATCH, `[${eventJson('e1')},${eventJson('e2')}]`)).rejects.toThrow('no leader');
  });
});
