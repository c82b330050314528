import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyCesql, anyCesqlAttributes } from '#testkit/any-cesql';
import { interpretCesql } from '#testkit/cesql-interpreter';
import { fuzzRuns } from '#testkit/fuzz-runs';
import { compileCesql } from './compile-cesql.ts';
import type { CesqlExpression, CesqlValue } from './expression.ts';
import { makeCesqlFunctions, type CesqlFunction } from './functions.ts';
import { parseCesql } from './parse-cesql.ts';

const FUZZ_TIMEOUT_MS = 20 * 60_000;

function compiled(text: string, functions?: readonly CesqlFunction[]) {
  const known = functions && makeCesqlFunctions(functions);
  const parsed = parseCesql(text, known);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.error.detail}`);
  return compileCesql(parsed.expression, known);
}

function evaluate(text: string, attributes: Readonly<Record<string, CesqlValue>> = {}): [CesqlValue, ...string[]] {
  const { value, errors } = compiled(text).evaluate(new Map(Object.entries(attributes)));
  return [value, ...errors.map(({ kind }) => kind)];
}

describe('a compiled expression', () => {
  test.each<[string, CesqlValue, string?]>([
    ['false AND true OR true', true],
    ['true OR true AND false', false],
    ['true XOR true AND false', false],
    ['true OR missing = 1 XOR true', false],
  ])('evaluates %s from left to right, to %s (CQ-11, D4)', (text, value) => expect(evaluate(text)).toEqual([value]));

  test.each<[string, CesqlValue, string?]>([
    ['2147483647 + 1', 0, 'math'],
    ['-2147483648 - 1', 0, 'math'],
    ['65536 * 65536', 0, 'math'],
    ['-2147483648 / -1', 0, 'math'],
    ['-(-2147483648)', 0, 'math'],
    ['-2147483648 % -1', 0],
    ['-2147483648', -2147483648],
    ['-7 / 2', -3],
    ['-7 % 2', -1],
    ['7 % -2', 1],
    ['0 * -1', 0],
    ['4-1', 3],
    ['4 -1', 3],
    ['+4', 4],
  ])('keeps to 32 bits: %s is %s (CQ-3, CQ-5)', (text, value, ...errors) => {
    const result = evaluate(text);
    expect(result).toEqual([value, ...errors]);
    expect(Object.is(result[0], -0)).toBe(false);
  });

  test.each<[string, CesqlValue, string?]>([
    ["INT('+5')", 5],
    ["INT('007')", 7],
    ["INT('2147483648')", 0, 'cast'],
    ["INT(' 5')", 0, 'cast'],
    ["INT('')", 0, 'cast'],
    ["INT('5.0')", 0, 'cast'],
    ["'TrUe' = true", true],
    ["'yes' = true", false, 'cast'],
    ["1 IN ('x', 1)", false, 'cast'],
    ["'05' = 5", true],
    ["5 = '05'", false],
    ["'01' IN (1)", false],
    ["1 IN ('01')", true],
  ])('casts as CQ-7 says: %s is %s', (text, value, ...errors) => {
    expect(evaluate(text)).toEqual([value, ...errors]);
  });

  test.each<[string, CesqlValue]>([
    ['missing', false],
    ['NOT missing', false],
    ['NOT (missing = 1)', false],
    ["missing = ''", false],
    ["missing != ''", false],
    ["missing NOT LIKE 'x'", false],
    ["missing NOT IN ('x')", false],
    ['true OR true AND missing', false],
    ['missing OR true', false],
    ['1 / missing', 0],
    ['-missing', 0],
    ['LENGTH(missing)', 0],
    ["CONCAT('a', missing)", ''],
    ['LENGTH(CONCAT(missing)) + 1', 0],
  ])('gives the zero value of the type where an attribute is missing: %s (CQ-8)', (text, value) => {
    expect(evaluate(text)).toEqual([value, 'missingAttribute']);
  });

  test('keeps the value of an erroneous function only where nothing uses it (CESQL 3.5.3)', () => {
    expect(evaluate("LEFT('abc', -1)")).toEqual(['abc', 'functionEvaluation']);
    expect(evaluate("LENGTH(LEFT('abc', -1))")).toEqual([0, 'functionEvaluation']);
    expect(evaluate('ABS(-2147483648) = 2147483647')).toEqual([false, 'math']);
  });

  test('says where an error arose', () => {
    expect(compiled("true AND 1 = 'a' + 1").evaluate(new Map()).errors).toEqual([
      { kind: 'cast', detail: '"a" is no Integer', position: 13 },
    ]);
    expect(compiled('5 = 4 / 0').evaluate(new Map()).errors).toEqual([
      { kind: 'math', detail: 'Division by zero in 4 / 0', position: 6 },
    ]);
  });

  test('passes an event only with the Boolean true and no error (FD-5)', () => {
    const event = new Map<string, CesqlValue>([['n', 1]]);
    expect(compiled('n = 1').passes(event)).toBe(true);
    expect(compiled('n').passes(event)).toBe(false);
    expect(compiled("'true'").passes(event)).toBe(false);
    expect(compiled('n = 1 AND missing').passes(event)).toBe(false);
  });

  test('takes a number that is no Integer as its text (CESQL 3.2)', () => {
    expect(evaluate('x', { x: 1.5 })).toEqual(['1.5']);
    expect(evaluate('x = 1', { x: 2 ** 40 })).toEqual([false, 'cast']);
  });

  test('reads attributes only (CQ-12): an event that throws on writes is fine', () => {
    const frozen = { get: (name: string) => (name === 'a' ? 'x' : undefined) };
    expect(compiled("a = 'x' AND NOT EXISTS b").passes(Object.freeze(frozen))).toBe(true);
  });

  test('calls own functions by name and arity, whatever they do', () => {
    const own: CesqlFunction[] = [
      { name: 'HASH', parameters: ['String'], returns: 'Integer', call: ([x]) => String(x).length * 7 },
      { name: 'HASH', parameters: ['String', 'Integer'], returns: 'Integer', call: () => 1 },
      { name: 'Throws', parameters: [], returns: 'Integer', call: () => JSON.parse('{') as number },
      { name: 'LIES', parameters: [], returns: 'Integer', call: () => 'text' },
      { name: 'HUGE', parameters: [], returns: 'Integer', call: () => 1e12 },
    ];
    const run = (text: string) => {
      const { value, errors } = compiled(text, own).evaluate(new Map());
      return [value, ...errors.map(({ kind }) => kind)];
    };
    expect(run('hash(123)')).toEqual([21]);
    expect(run("HASH('a', '5')")).toEqual([1]);
    expect(run("HASH('a', 'b')")).toEqual([0, 'cast']);
    expect(run('HASH()')).toEqual([false, 'missingFunction']);
    expect(run('THROWS()')).toEqual([0, 'functionEvaluation']);
    expect(run('LIES()')).toEqual([0, 'functionEvaluation']);
    expect(run('HUGE()')).toEqual([0, 'functionEvaluation']);
  });

  test('ends in bounded time, whatever the expression and event (CQ-12)', () => {
    const long = 'a'.repeat(500_000);
    const event = new Map([['a', long]]);
    const concat = `LENGTH(CONCAT(${Array.from({ length: 10_000 }, () => 'a').join(',')})) > 0`;
    const like = `a LIKE '%${'_a'.repeat(2000)}b%'`;
    const startMs = performance.now();
    expect(compiled(concat).evaluate(event).errors).toMatchObject([{ kind: 'generic' }]);
    expect(compiled(like).evaluate(event).errors).toMatchObject([{ kind: 'generic' }]);
    expect(performance.now() - startMs).toBeLessThan(3000);
  });

  test(
    'is the same as a naive interpreter, for any expression and event',
    () => {
      fc.assert(
        fc.property(anyCesql(), anyCesqlAttributes(), (expression, attributes) => {
          expectSame(expression, attributes);
        }),
        { numRuns: fuzzRuns(3000) },
      );
    },
    FUZZ_TIMEOUT_MS,
  );

  test('obeys De Morgan where nothing is missing', () => {
    const both = fc.tuple(anyCesql(), anyCesql(), anyCesqlAttributes());
    fc.assert(
      fc.property(both, ([a, b, attributes]) => {
        const [left, right] = [a, b].map((each) => compileCesql(each).evaluate(attributes));
        fc.pre([left, right].every((result) => result?.errors.length === 0 && typeof result.value === 'boolean'));
        const chain = (operator: 'AND' | 'OR', first: CesqlExpression, operand: CesqlExpression): CesqlExpression => ({
          kind: 'chain',
          first,
          rest: [{ operator, operand, at: 0 }],
          at: 0,
        });
        const not = (operand: CesqlExpression): CesqlExpression => ({ kind: 'not', operand, at: 0 });
        const value = (each: CesqlExpression) => compileCesql(each).evaluate(attributes).value;
        expect(value(not(chain('AND', a, b)))).toBe(value(chain('OR', not(a), not(b))));
        expect(value(not(chain('OR', a, b)))).toBe(value(chain('AND', not(a), not(b))));
      }),
      { numRuns: 300 },
    );
  });
});

function expectSame(expression: CesqlExpression, attributes: ReadonlyMap<string, CesqlValue>): void {
  const { value, errors } = compileCesql(expression).evaluate(attributes);
  const naive = interpretCesql(expression, attributes);
  // Plain comparisons: a million calls of expect() take minutes.
  if (value === naive.value && errors[0]?.kind === naive.error && !Object.is(value, -0)) return;
  expect({ value, error: errors[0]?.kind, expression }).toEqual({ ...naive, expression });
}
