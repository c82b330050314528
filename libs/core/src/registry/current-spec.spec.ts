import { describe, expect, test } from '@jest/globals';
import { DEFAULT_RETRY_POLICY } from '../delivery/retry-policy.ts';
import { DEFAULT_CIRCUIT_POLICY } from '../lane/circuit-policy.ts';
import { aSpec } from '#testkit/a-subscription';
import { currentSpec, NO_VALIDATION } from './current-spec.ts';
import type { StoredSpec } from './subscription.ts';

const { floorsSeconds: _since, ...olderRetry } = DEFAULT_RETRY_POLICY;
const signature = { profile: 'none' } as const;

const first: StoredSpec = {
  sink: 'https://sink.example/',
  protocol: 'HTTP',
  filters: [],
  config: { contentMode: 'binary', signature, retry: { ...olderRetry, delaysSeconds: [1], whenExhausted: 'stop' } },
};
const second: StoredSpec = {
  sink: 'https://sink.example/',
  protocol: 'HTTP',
  protocolsettings: { method: 'POST' },
  filters: [],
  config: { contentMode: 'binary', signature, retry: olderRetry, validation: NO_VALIDATION, maxEvents: 5 },
};

describe('a stored specification', () => {
  test.each([
    ['first', first],
    ['second', second],
  ])('of the %s version is delivered as before: on the common road, one event per request', (_version, stored) => {
    const { config } = currentSpec(stored);
    expect(config).toMatchObject({
      ...stored.config,
      maxInFlight: 32,
      ordering: 'none',
      onDeadLetter: 'skip',
      circuit: DEFAULT_CIRCUIT_POLICY,
    });
    for (const member of ['rate', 'batch', 'deadLetterSink']) expect(config).not.toHaveProperty(member);
  });

  test('has the floors of the default schedule if that is its own, and none beside other delays', () => {
    expect(currentSpec(second).config.retry).toEqual(DEFAULT_RETRY_POLICY);
    expect(currentSpec(first).config.retry.floorsSeconds).toEqual({});
  });

  test('of today is what it is', () => {
    const today = aSpec({
      config: {
        maxInFlight: 1,
        ordering: 'partitionkey',
        onDeadLetter: 'block',
        circuit: { ...DEFAULT_CIRCUIT_POLICY, consecutiveFailures: 1 },
        rate: { requestsPerMinute: 1 },
        retry: { ...DEFAULT_RETRY_POLICY, floorsSeconds: {}, maxAttempts: 1, outcomes: { '5xx': 'fail' } },
      },
    });
    expect(JSON.stringify(currentSpec(today))).toBe(JSON.stringify(today));
  });
});
