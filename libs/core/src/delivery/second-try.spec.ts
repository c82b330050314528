import { describe, expect, test } from '@jest/globals';
import type { CloudEvent } from '../event/cloud-event.ts';
import { secondTryCount, secondTryOf, type Refusal } from './second-try.ts';

const attributes = new Map([
  ['specversion', '1.0'],
  ['id', 'e1'],
  ['source', '/s'],
  ['type', 't'],
]);
const event: CloudEvent = { attributes, data: { bytes: new TextEncoder().encode('1'), form: 'json' } };
const withoutData: CloudEvent = { attributes };

const after = (refusal: Partial<Refusal>) =>
  secondTryOf({ status: 415, sentAtMs: 1000, event, sentAs: 'structured', tried: {}, ...refusal });

describe('after a 415', () => {
  test('a delivery is tried in the other content mode', () => {
    expect(after({ sentAs: 'structured' })).toEqual({ contentModeFallback: 'binary' });
    expect(after({ sentAs: 'binary' })).toEqual({ contentModeFallback: 'structured' });
  });

  test('it is not tried a third time', () => {
    expect(after({ sentAs: 'binary', tried: { contentModeFallback: 'binary' } })).toBeUndefined();
  });

  test('it is not tried otherwise when there is no other mode: a batch, an event without data (WH-3)', () => {
    expect(after({ sentAs: 'batch' })).toBeUndefined();
    expect(after({ event: withoutData })).toBeUndefined();
  });

  test('it falls back even when the credential was refreshed before', () => {
    expect(after({ tried: { credentialRefusedAtMs: 1000 } })).toEqual({ contentModeFallback: 'binary' });
  });
});

describe('after a 401', () => {
  test('a delivery is tried with a fresh credential, once', () => {
    for (const credential of ['REFRESHTOKEN', 'CLIENTCREDENTIALS'] as const) {
      expect(after({ status: 401, credential })).toEqual({ credentialRefusedAtMs: 1000 });
      expect(after({ status: 401, credential, tried: { credentialRefusedAtMs: 900 } })).toBeUndefined();
    }
  });

  test('it is not tried with a credential that stays what it is', () => {
    for (const credential of ['PLAIN', 'ACCESSTOKEN', 'APIKEY'] as const) {
      expect(after({ status: 401, credential })).toBeUndefined();
    }
    expect(after({ status: 401 })).toBeUndefined();
  });
});

describe('after anything else', () => {
  test.each([200, 400, 403, 406, 410, 422, 500])('nothing can be done otherwise: %d', (status) => {
    expect(after({ status, credential: 'REFRESHTOKEN' })).toBeUndefined();
  });
});

describe('a status that the subscription names', () => {
  test('means what it says there, and its hundred does not', () => {
    expect(after({ overrides: { 415: 'fail' } })).toBeUndefined();
    expect(after({ overrides: { 415: 'retry' } })).toBeUndefined();
    expect(after({ status: 401, credential: 'REFRESHTOKEN', overrides: { 401: 'fail' } })).toBeUndefined();
    expect(after({ overrides: { '4xx': 'retry' } })).toEqual({ contentModeFallback: 'binary' });
  });
});

test('second tries are counted, each once', () => {
  expect(secondTryCount({})).toBe(0);
  expect(secondTryCount({ contentModeFallback: 'binary' })).toBe(1);
  expect(secondTryCount({ contentModeFallback: 'binary', credentialRefusedAtMs: 1000 })).toBe(2);
});
