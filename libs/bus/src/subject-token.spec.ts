import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fnv1a, typeToSubject } from './subject-token.ts';

/** What nats-server accepts as a subject to publish on, and NATS clients as one line. */
function isPublishable(subject: string): boolean {
  return (
    /^[\x21-\x7e]+$/.test(subject) &&
    subject.split('.').every((token) => token !== '' && token !== '*' && token !== '>')
  );
}

describe('typeToSubject', () => {
  test.each([
    ['com.example.order.created', 'com.example.order.created'],
    ['', '%'],
    ['.', '%2E'],
    ['a..b', 'a.%2Eb'],
    ['.a.', '%2Ea%2E'],
    ['a b\r\n', 'a%20b%0D%0A'],
    ['a.*.>', 'a.%2A.%3E'],
    ['100%', '100%25'],
    ['größe', 'gr%C3%B6%C3%9Fe'],
  ])('writes %j as %j', (type, subject) => {
    expect(typeToSubject(type)).toBe(subject);
  });

  test('gives a subject that can be published on, for any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 800 }), (type) => isPublishable(typeToSubject(type))));
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('.', '*', '>', '%', ' ', 'a') }), (type) =>
        isPublishable(typeToSubject(type)),
      ),
    );
  });

  test('gives two types that are not very long two subjects: the escape can be undone', () => {
    const undo = (subject: string): string => (subject === '%' ? '' : decodeURIComponent(subject));
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (type) => undo(typeToSubject(type)) === type));
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('.', '%', '2', 'E') }),
        (type) => undo(typeToSubject(type)) === type,
      ),
    );
  });

  test('keeps a very long type within one control line, and apart from its neighbour', () => {
    const long = 'a.'.repeat(5000);
    expect(typeToSubject(long).length).toBeLessThanOrEqual(512);
    expect(typeToSubject(long)).not.toBe(typeToSubject(`${long}b`));
    expect(isPublishable(typeToSubject(long))).toBe(true);
  });
});

test('fnv1a is the published 32-bit function: partitions must not move between versions', () => {
  expect(fnv1a('')).toBe(0x811c9dc5);
  expect(fnv1a('a')).toBe(0xe40c292c);
  expect(fnv1a('foobar')).toBe(0xbf9cf968);
});
