import { describe, expect, test } from '@jest/globals';
import { ProblemError } from '#platform/problem';
import { readJson, readOptionalJson } from './read-json.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

function detailOf(body: unknown): string {
  try {
    readJson(body);
  } catch (error) {
    if (error instanceof ProblemError && error.problem.status === 400) return error.problem.detail;
    throw error;
  }
  throw new Error('it was read');
}

describe('reading a JSON body', () => {
  test('gives the value', () => expect(readJson(bytes('{"a":[1]}'))).toEqual({ a: [1] }));

  test.each([
    ['{"a":1,}', 'line 1, column 8'],
    ['abc', 'unexpected "a" at line 1, column 1'],
    ['{"a"', 'line 1, column 5'],
    ['[1,\n2,,]', 'unexpected "," at line 2, column 3'],
    ['{"sink": "https://example.com",\n "types": [a]}', 'unexpected "a" at line 2, column 12'],
    ['{"a": tru}', 'unexpected "}" at line 1, column 10'],
    ['{"a": ', 'it ends too early at line 1, column 7'],
    ['"a\nb"', 'line 1, column 3'],
    ['{} {}', 'line 1, column 4'],
    ["{'a': 1}", 'line 1, column 2'],
  ])('tells where %j is wrong', (text, place) => {
    expect(detailOf(bytes(text))).toContain(place);
  });

  test('tells where a large body is wrong', () => {
    const text = `{"a":"${'x'.repeat(100_000)}",\n"b":?}`;
    expect(detailOf(bytes(text))).toContain('unexpected "?" at line 2, column 5');
  });

  test('refuses what is nested so deeply that reading it would need more stack than there is', () => {
    const nested = (depth: number) => bytes(`${'{"a":['.repeat(depth / 2)}${']}'.repeat(depth / 2)}`);
    expect(readJson(nested(1000))).toHaveProperty('a');
    expect(detailOf(nested(1002))).toBe('The body is nested deeper than 1000 levels.');
    expect(readJson(bytes(JSON.stringify('[{"\\'.repeat(1001))))).toHaveLength(4004);
  });

  test('refuses an empty body, and bytes that are not UTF-8', () => {
    expect(detailOf(undefined)).toContain('no body');
    expect(detailOf(bytes(' \n'))).toContain('no body');
    expect(detailOf(Uint8Array.of(0x22, 0xff, 0x22))).toContain('UTF-8');
  });

  test.each([
    ['what is read', '{"secret":"s"}'],
    ['what is not JSON', '{"secret":"s",}'],
    ['what is not UTF-8', '{"secret":"s"}\xff'],
  ])('leaves nothing of %s where it was: there may be a secret in it', (_, text) => {
    const body = Buffer.from(text, 'latin1');
    try {
      readJson(body);
    } catch (error) {
      expect(error).toBeInstanceOf(ProblemError);
    }
    expect(body).toEqual(Buffer.alloc(text.length));
  });

  test('takes no body as {} only where that is meant', () => {
    expect(readOptionalJson(undefined)).toEqual({});
    expect(readOptionalJson(bytes('{"a":1}'))).toEqual({ a: 1 });
  });
});
