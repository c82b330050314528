import { describe, expect, test } from '@jest/globals';
import { isJson, isText, isUtf8, parseMediaType } from './media-type.ts';

describe('parseMediaType', () => {
  test.each([
    ['text/plain', { essence: 'text/plain' }],
    ['TEXT/Plain; CharSet=utf-8', { essence: 'text/plain', charset: 'utf-8' }],
    ['application/json;charset="UTF-8"', { essence: 'application/json', charset: 'utf-8' }],
    ['application/vnd.a.b+json; version=1 ; charset=utf-8', { essence: 'application/vnd.a.b+json', charset: 'utf-8' }],
    ['multipart/form-data; boundary="a \\"b\\";charset=x"', { essence: 'multipart/form-data' }],
    ['text/plain;', { essence: 'text/plain' }],
    ['text/plain; ;charset=a', { essence: 'text/plain', charset: 'a' }],
  ])('reads %j (CE-8)', (text, mediaType) => {
    expect(parseMediaType(text)).toEqual(mediaType);
  });

  test.each([
    '',
    'xyz',
    '/',
    'a/',
    '/b',
    'a/b/c',
    'a /b',
    'a/b; c',
    'a/b; c=',
    'a/b; c="d',
    'a/b c=d',
    'a/b;c=d e',
    'a/b\n',
    'ä/b',
  ])('refuses %j (CE-8)', (text) => {
    expect(parseMediaType(text)).toBeUndefined();
  });

  test.each([' ;', ';a=b', ';a="\\"', ' \t'])('answers at once on a megabyte of %j', (part) => {
    expect(parseMediaType(`a/b${part.repeat(1 << 18)}"`)).toBeUndefined();
    expect(parseMediaType(`a/b${part.repeat(4000 / part.length)}"`)).toBeUndefined();
  });
});

describe('media type questions', () => {
  const of = (text: string) => parseMediaType(text) ?? { essence: '' };

  test.each(['application/json', 'text/json; a=b', 'application/vnd.x+JSON', 'image/svg+json'])(
    'call %s JSON (JF-5)',
    (text) => {
      expect(isJson(of(text))).toBe(true);
    },
  );

  test.each(['application/xml', 'application/jsonp', 'application/json+xml', 'application/x-ndjson'])(
    'do not call %s JSON (JF-5)',
    (text) => {
      expect(isJson(of(text))).toBe(false);
    },
  );

  test('know text and UTF-8', () => {
    expect(['text/csv', 'application/xml', 'image/svg+xml', 'image/png'].map((text) => isText(of(text)))).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(
      ['a/b', 'a/b;charset=UTF-8', 'a/b;charset=us-ascii', 'a/b;charset=utf-16'].map((text) => isUtf8(of(text))),
    ).toEqual([true, true, true, false]);
  });
});
