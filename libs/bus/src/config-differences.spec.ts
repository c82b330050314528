import { describe, expect, test } from '@jest/globals';
import { configDifferences } from './config-differences.ts';
import { makeTopology } from './topology.ts';

const retries = makeTopology()
  .streamConfigs()
  .find(({ name }) => name === 'RETRIES') ?? { name: '' };

describe('configDifferences', () => {
  test('accepts what the server adds and what it leaves out because it is zero', () => {
    const { deny_delete: _, ...echo } = {
      ...retries,
      deny_delete: false,
      sealed: false,
      metadata: { '_nats.ver': '2.15.1' },
    };
    expect(configDifferences(retries, echo)).toEqual([]);
    expect(configDifferences({ ...retries, max_age: 0, deny_delete: false }, { ...echo, max_age: undefined })).toEqual(
      [],
    );
  });

  test('finds the schedules that 2.9 drops without a word', () => {
    const { allow_msg_schedules: _schedules, allow_msg_ttl: _ttl, ...echoOf29 } = retries;
    expect(configDifferences(retries, echoOf29)).toEqual([
      { field: 'allow_msg_schedules', wanted: true, found: undefined },
      { field: 'allow_msg_ttl', wanted: true, found: undefined },
    ]);
  });

  test('finds a stream that somebody made with other retention', () => {
    expect(configDifferences(retries, { ...retries, retention: 'limits' })).toEqual([
      { field: 'retention', wanted: 'workqueue', found: 'limits' },
    ]);
  });
});
