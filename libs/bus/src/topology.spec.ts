import { describe, expect, test } from '@jest/globals';
import { SUBJECT_ROOTS } from '#contracts/bus/subject-roots';
import { EVENT_PARTITIONS, makeTopology, PARTITIONS } from './topology.ts';

const topology = makeTopology();
const blue = makeTopology({ deployment: 'blue' });

describe('makeTopology', () => {
  test('names streams and subjects plainly without a deployment', () => {
    expect(topology.streams.EVENTS).toBe('EVENTS');
    expect(topology.eventSubject('acme', 'com.example.x')).toBe('ce.acme.com.example.x');
    expect(topology.registrySubject('acme', 'subscription', 'sub_1')).toBe('registry.acme.subscription.sub_1');
    expect(topology.retryAtSubject('sub_1', 'dlv_1')).toBe('retry.at.sub_1.dlv_1');
  });

  test('prefixes every stream and every subject with the deployment', () => {
    expect(blue.streams.EVENTS).toBe('blue_EVENTS');
    expect(blue.eventSubject('acme', 'x')).toBe('blue.ce.acme.x');
    for (const { name, subjects } of blue.streamConfigs()) {
      expect(name).toMatch(/^blue_/);
      expect(subjects?.every((subject) => subject.startsWith('blue.'))).toBe(true);
    }
    for (const { config } of blue.consumerConfigs()) expect(config.filter_subject ?? 'blue.').toMatch(/^blue\./);
    expect([blue.signSubject, blue.sealSubject]).toEqual(['blue.signer.sign', 'blue.signer.seal']);
    expect([blue.aliveSubject, blue.laneHealthSubject]).toEqual(['blue.alive.delivery', 'blue.alive.health']);
  });

  test.each(['ce', 'retry', 'Blue', 'a.b', '-a', 'a'.repeat(33)])('refuses the deployment %j', (deployment) => {
    expect(() => makeTopology({ deployment })).toThrow(RangeError);
  });

  test.each(SUBJECT_ROOTS)('refuses the deployment %s, which a configuration may not name either', (deployment) => {
    expect(() => makeTopology({ deployment })).toThrow(RangeError);
  });

  test('has no subject whose first token is not among the roots', () => {
    const subjects = topology.streamConfigs().flatMap((config) => config.subjects ?? []);
    const asked = [topology.signSubject, topology.sealSubject, topology.aliveSubject, topology.laneHealthSubject];
    const first = [...subjects, ...asked].map((subject) => subject.split('.', 1)[0]);
    expect(SUBJECT_ROOTS).toEqual(expect.arrayContaining(first));
  });

  test('refuses to forget events before their deliveries are over', () => {
    expect(() => makeTopology({ eventRetentionSeconds: 3600 })).toThrow(/retries need the event/);
  });

  test('refuses a duplicate window in which a matcher could come back too late', () => {
    expect(() => makeTopology({ deduplicationSeconds: 30 })).toThrow(/must exceed 30 s/);
  });

  test('puts a subscription into the same partition of both lanes', () => {
    const p = topology.partitionOf('sub_abc');
    expect(topology.deliverSubject('sub_abc')).toBe(`deliver.${p}.sub_abc`);
    expect(topology.retryDueSubject('sub_abc')).toBe(`retry.due.${p}.sub_abc`);
  });

  test('uses all partitions about equally', () => {
    const counts = new Array<number>(PARTITIONS).fill(0);
    for (let i = 0; i < 8000; i++) {
      const p = topology.partitionOf(`sub_06d${i.toString(32)}kq2v`);
      counts[p] = (counts[p] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(800);
    expect(Math.max(...counts)).toBeLessThan(1200);
  });

  test('never consumes timers, and covers every partition of what is due', () => {
    const filters = topology
      .consumerConfigs()
      .filter(({ stream }) => stream === topology.streams.RETRIES)
      .map(({ config }) => config.filter_subject);
    expect(filters).toEqual([...Array.from({ length: PARTITIONS }, (_, p) => `retry.due.${p}.*`), 'retry.wake.*']);
  });

  test('covers every partition of both roads of DELIVERIES with a consumer of its own', () => {
    const filters = topology
      .consumerConfigs()
      .filter(({ stream }) => stream === topology.streams.DELIVERIES)
      .map(({ config }) => config.filter_subject);
    const partitions = Array.from({ length: PARTITIONS }, (_, p) => p);
    expect(filters).toEqual(['deliver', 'bulk'].flatMap((road) => partitions.map((p) => `${road}.${p}.*`)));
  });

  test('puts what a tenant publishes above its budget into one partition, whatever the subscription', () => {
    const p = topology.partitionOf('acme');
    expect(topology.bulkSubject('acme', 'sub_a')).toBe(`bulk.${p}.sub_a`);
    expect(topology.bulkSubject('acme', 'sub_b')).toBe(`bulk.${p}.sub_b`);
  });

  test('has one subject per lane on each of its streams, and its timer stays in RETRIES', () => {
    expect([topology.laneSubject('sub_1'), topology.wakeSubject('sub_1'), topology.circuitSubject('sub_1')]).toEqual([
      'lane.sub_1',
      'wake.sub_1',
      'circuit.sub_1',
    ]);
    expect([topology.wakeTimerSubject('sub_1'), topology.retryWakeSubject('sub_1')]).toEqual([
      'retry.at.sub_1._wake',
      'retry.wake.sub_1',
    ]);
  });

  test('has no consumer on LANES and one on WAKE', () => {
    const on = (stream: string) => topology.consumerConfigs().filter((consumer) => consumer.stream === stream);
    expect(on(topology.streams.LANES)).toEqual([]);
    expect(on(topology.streams.WAKE).map(({ config }) => config.durable_name)).toEqual(['lanes']);
  });

  test('carries out old verdicts, and tells nobody what was before it could', () => {
    const named = (name: string) => topology.consumerConfigs().filter(({ config }) => config.durable_name === name);
    expect(named('verdicts').map(({ config }) => config.deliver_policy)).toEqual(['all']);
    expect(named('operational').map(({ stream, config }) => [stream, config.deliver_policy])).toEqual([
      ['REGISTRY', 'new'],
      ['JOURNAL', 'new'],
      ['DEADLETTERS', 'new'],
    ]);
  });

  test('limits the consumers of every stream and never drops by count or bytes', () => {
    for (const config of topology.streamConfigs()) {
      expect(config).toMatchObject({ max_msgs: -1, max_bytes: -1 });
      expect(config.max_consumers).toBeGreaterThan(0);
    }
  });

  test('takes the events of every partition with a consumer of its own, and those from before there were any', () => {
    const on = blue.consumerConfigs().filter(({ stream }) => stream === blue.streams.EVENTS);
    const takes = on.map(({ config }) => [config.durable_name, config.filter_subject]);
    const partitions = Array.from({ length: EVENT_PARTITIONS }, (_, p) => [`matcher-${p}`, `blue.ce-p.${p}.>`]);
    expect(takes).toEqual([['matcher', 'blue.ce.*.>'], ...partitions, ['projector', undefined]]);
    expect(new Set(['acme', 'globex', 'initech'].map((tenant) => blue.matcherOf(tenant))).size).toBeGreaterThan(1);
  });

  test.each([
    [topology, 'ce.acme.com.example', 'ce-p.15.acme.com.example'],
    [blue, 'blue.ce.acme.x', 'blue.ce-p.3.acme.x'],
  ])('says what a stored event was published on', ({ publishedEventSubject }, published, stored) => {
    expect(publishedEventSubject(stored)).toBe(published);
    expect(publishedEventSubject(published)).toBe(published);
  });

  test('reads the tenant back from an event subject, published or stored', () => {
    expect(blue.tenantOfEventSubject('blue.ce.acme.com.example')).toBe('acme');
    expect(blue.tenantOfEventSubject('blue.ce-p.7.acme.com.example')).toBe('acme');
    expect(blue.tenantOfEventSubject('ce.acme.com.example')).toBeUndefined();
    expect(blue.tenantOfEventSubject('blue.ce-q.7.acme')).toBeUndefined();
  });
});
