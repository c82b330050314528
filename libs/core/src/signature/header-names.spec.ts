import { describe, expect, test } from '@jest/globals';
import { hasOtherMeaning, headerNamesOf, isHeaderPrefix, WEBHOOK_HEADERS } from './header-names.ts';

describe('the names of headers', () => {
  test('are those of Standard Webhooks without a prefix (SW-1)', () => {
    expect(headerNamesOf()).toEqual({
      id: 'webhook-id',
      timestamp: 'webhook-timestamp',
      signature: 'webhook-signature',
      hmacTimestamp: { signature: 'x-webhook-signature', id: 'x-webhook-id' },
    });
    expect(headerNamesOf('webhook')).toBe(WEBHOOK_HEADERS);
  });

  test('begin with the prefix', () => {
    expect(headerNamesOf('acme')).toEqual({
      id: 'acme-id',
      timestamp: 'acme-timestamp',
      signature: 'acme-signature',
      hmacTimestamp: { signature: 'x-acme-signature', id: 'x-acme-id' },
    });
  });

  test('have no x- twice', () => {
    const { signature, hmacTimestamp } = headerNamesOf('x-acme');
    expect([signature, hmacTimestamp.signature]).toEqual(['x-acme-signature', 'x-acme-signature']);
  });
});

describe('a prefix', () => {
  test.each(['a', '7', 'acme', 'x-acme', 'acme--hooks', 'svix', 'a'.repeat(32)])('may be %s', (prefix) => {
    expect([isHeaderPrefix(prefix), hasOtherMeaning(prefix)]).toEqual([true, false]);
  });

  test.each(['', '-', '-acme', 'acme-', 'Acme', 'acme_hooks', 'a b', 'a:', 'ä', 'acme\n', 'a'.repeat(33)])(
    'can not be %j',
    (prefix) => {
      expect(isHeaderPrefix(prefix)).toBe(false);
    },
  );

  const others =
    'ce ce-acme content x-content proxy x-forwarded forwarded accept access-control sec if transfer signature nats nats-msg ph ' +
    'webhook-request webhook-allowed request x-request x-correlation message trace x-amzn-trace last-event';

  test.each(others.split(' '))('has another meaning when it is %s', (prefix) => {
    expect(hasOtherMeaning(prefix)).toBe(true);
  });

  test.each(['cecil', 'contentful', 'iffy', 'phone', 'request-hub', 'webhook-acme', 'secure'])(
    'may begin like one that has: %s',
    (prefix) => {
      expect(hasOtherMeaning(prefix)).toBe(false);
    },
  );
});
