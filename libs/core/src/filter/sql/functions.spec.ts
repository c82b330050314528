import { describe, expect, test } from '@jest/globals';
import { compileCesql } from './compile-cesql.ts';
import type { CesqlType, CesqlValue } from './expression.ts';
import { BUILT_IN_FUNCTIONS, makeCesqlFunctions, type CesqlFunction } from './functions.ts';
import { parseCesql } from './parse-cesql.ts';

function evaluate(text: string): [CesqlValue, ...string[]] {
  const parsed = parseCesql(text);
  if (!parsed.ok) throw new Error(parsed.error.detail);
  const { value, errors } = compileCesql(parsed.expression).evaluate(new Map());
  return [value, ...errors.map(({ kind }) => kind)];
}

const own = (name: string, parameters: readonly CesqlType[], variadic?: CesqlType): CesqlFunction => ({
  name,
  parameters,
  ...(variadic === undefined ? {} : { variadic }),
  returns: 'Integer',
  call: () => 1,
});

describe('the functions of CESQL (CQ-10)', () => {
  test.each<[string, CesqlValue, string?]>([
    ["LENGTH('😀ö')", 2],
    ["LEFT('😀ab', 1)", '😀'],
    ["RIGHT('ab😀', 1)", '😀'],
    ["RIGHT('ab😀', 2)", 'b😀'],
    ["SUBSTRING('a😀b', 2, 1)", '😀'],
    ["SUBSTRING('a😀b', -2)", '😀b'],
    ["SUBSTRING('abc', 2, 0)", ''],
    ["SUBSTRING('abc', 2, 2147483647)", 'bc'],
    ["SUBSTRING('abc', 1, -1)", '', 'functionEvaluation'],
    ["SUBSTRING('abc', 0, -1)", '', 'functionEvaluation'],
    ["SUBSTRING('abc', 4)", '', 'functionEvaluation'],
    ["SUBSTRING('abc', -3)", 'abc'],
    ["SUBSTRING('', 1)", '', 'functionEvaluation'],
    ["TRIM('\u00a0\u0085\u2003a b\t\n')", 'a b'],
    ["TRIM('\ufeff\u0001a')", '\ufeff\u0001a'],
    ["UPPER('straße')", 'STRASSE'],
    ["CONCAT(1, TRUE, 'x')", '1truex'],
    ["CONCAT_WS(1, 'a', 'b')", 'a1b'],
    ['FOO(1)', false, 'missingFunction'],
    ['ABS()', false, 'missingFunction'],
    ["ABS('-5')", 5],
  ])('give for %s %j', (text, value, ...errors) => {
    expect(evaluate(text)).toEqual([value, ...errors]);
  });

  test('are found by name and number of arguments', () => {
    expect(BUILT_IN_FUNCTIONS.find('SUBSTRING', 2)?.parameters).toHaveLength(2);
    expect(BUILT_IN_FUNCTIONS.find('SUBSTRING', 3)?.parameters).toHaveLength(3);
    expect(BUILT_IN_FUNCTIONS.find('SUBSTRING', 4)).toBeUndefined();
    expect(BUILT_IN_FUNCTIONS.find('CONCAT', 1000)?.name).toBe('CONCAT');
    expect(BUILT_IN_FUNCTIONS.find('CONCAT_WS', 0)).toBeUndefined();
  });

  test('allow own ones beside them, also variadic ones with more parameters than any other (CESQL 3.5)', () => {
    const functions = makeCesqlFunctions([own('ABC', ['String']), own('abc', ['String', 'String'], 'String')]);
    expect(functions.find('ABC', 1)?.variadic).toBeUndefined();
    expect(functions.find('ABC', 7)?.variadic).toBe('String');
  });

  test.each([
    ['the same name and arity', [own('ABC', ['String']), own('abc', ['Integer'])]],
    ['the arity of a built-in one', [own('LENGTH', ['Integer'])]],
    ['two variadic ones', [own('ABC', [], 'String'), own('ABC', ['String'], 'String')]],
    ['a variadic one that hides another', [own('ABC', [], 'String'), own('ABC', ['String', 'String', 'String'])]],
  ])('refuse %s', (_, functions) => expect(() => makeCesqlFunctions(functions)).toThrow(/ABC|LENGTH/));
});
