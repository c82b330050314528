import { describe, expect, test } from '@jest/globals';
import { SUBJECT_ROOTS } from '#contracts/bus/subject-roots';
import { makeTopology, PARTITIONS } from './topology.ts';

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
  });

  test.each(['ce', 'retry', 'Blue', 'a.b', '-a', 'a'.repeat(33)])('refuses the deployment %j', (deployment) => {
    expect(() => makeTopology({ deployment })).toThrow(RangeError);
  });

  test.each(SUBJECT_ROOTS)('refuses the deployment %s, which a configuration may not name either', (deployment) => {
    expect(() => makeTopology({ deployment })).toThrow(RangeError);
  });

  test('has no subject whose first token is not among the roots', () => {
    const subjects = topology.streamConfigs().flatMap((config) => config.subjects ?? []);
    const first = [...subjects, topology.signSubject, topology.sealSubject].map((subject) => subject.split('.', 1)[0]);
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
    expect(filters).toEqual(Array.from({ length: PARTITIONS }, (_, p) => `retry.due.${p}.*`));
  });

  test('limits the consumers of every stream and never drops by count or bytes', () => {
    for (const config of topology.streamConfigs()) {
      expect(config).toMatchObject({ max_msgs: -1, max_bytes: -1 });
      expect(config.max_consumers).toBeGreaterThan(0);
    }
  });

  test('reads the tenant back from an event subject', () => {
    expect(blue.tenantOfEventSubject('blue.ce.acme.com.example')).toBe('acme');
    expect(blue.tenantOfEventSubject('ce.acme.com.example')).toBeUndefined();
  });
});
