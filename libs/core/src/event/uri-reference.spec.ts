import { describe, expect, test } from '@jest/globals';
import { isUri, isUriReference } from './uri-reference.ts';

describe('isUriReference', () => {
  test.each([
    'https://github.com/cloudevents',
    'mailto:cncf-wg-serverless@lists.cncf.io',
    'urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66',
    'cloudevents/spec/pull/123',
    '/sensors/tn-1234567/alerts',
    '1-555-123-4567',
    '#fragment',
    '//authority/path',
    '?query',
    '',
    'http://user:pass@[2001:db8::1]:8080/a;b=c/d?e=f#g?h/i',
    'http://[v1.fe80::a+en1]/',
    'file:///etc/hosts',
    'a%20b',
    'http://example.com:/',
    './a:b',
  ])('accepts %j (CE-3)', (text) => {
    expect(isUriReference(text)).toBe(true);
  });

  test.each([
    'a b',
    'exämple',
    '1a:b',
    ':a',
    '%',
    '%4',
    '%zz',
    'http://[::1',
    'http://a:b',
    'http://a@b@c',
    '<a>',
    'a"b',
    'a\\b',
    '{a}',
    'a^b',
    'a`b',
    'a|b',
    '#a#b',
    'a\n',
  ])('refuses %j (CE-3)', (text) => {
    expect(isUriReference(text)).toBe(false);
  });
});

describe('isUri', () => {
  test.each(['https://example.com/schema.json', 'urn:x:y', 'https://example.com/s#/definitions/a'])(
    'accepts %j (CE-8)',
    (text) => {
      expect(isUri(text)).toBe(true);
    },
  );

  test.each(['', '/schema.json', 'schema', '//example.com/a', '1x:y', 'https://exa mple/'])(
    'refuses %j (CE-8)',
    (text) => {
      expect(isUri(text)).toBe(false);
    },
  );

  test('decides on 8 MiB of text without an exception', () => {
    expect(isUri(`x:${'a'.repeat(8 << 20)}`)).toBe(true);
    expect(isUri(`x:${'%20'.repeat(2 << 20)}"`)).toBe(false);
  });
});
