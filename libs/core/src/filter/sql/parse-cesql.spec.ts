import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { anyCesql } from '#testkit/any-cesql';
import { fuzzRuns } from '#testkit/fuzz-runs';
import { lineAndColumn } from './cesql-error.ts';
import { compileCesql } from './compile-cesql.ts';
import type { CesqlExpression } from './expression.ts';
import { CESQL_MAX_DEPTH, CESQL_MAX_LENGTH, parseCesql } from './parse-cesql.ts';
import { printCesql } from './print-cesql.ts';

const FUZZ_TIMEOUT_MS = 20 * 60_000;

function parse(text: string): CesqlExpression {
  const parsed = parseCesql(text);
  if (!parsed.ok) throw new Error(`${text}: ${parsed.error.detail}`);
  return parsed.expression;
}

function errorOf(text: string): string {
  const parsed = parseCesql(text);
  if (parsed.ok) return 'none';
  expect(parsed.error.kind).toBe('parse');
  return `${parsed.error.position}: ${parsed.error.detail}`;
}

const warningsOf = (text: string): string[] => {
  const parsed = parseCesql(text);
  return parsed.ok ? parsed.warnings.map(({ position, detail }) => `${position}: ${detail}`) : ['invalid'];
};

/** Expressions without their positions. */
function bare(expression: CesqlExpression): unknown {
  return JSON.parse(JSON.stringify(expression, (key, value: unknown) => (key === 'at' ? undefined : value)));
}

describe('parsing an expression', () => {
  test.each([
    ['NOT a = b', '(NOT a) = b'],
    ["NOT a LIKE 'x'", "(NOT a) LIKE 'x'"],
    ["1 + a LIKE 'x'", "1 + (a LIKE 'x')"],
    ['a + b * c', 'a + (b * c)'],
    ['a = b + c', 'a = (b + c)'],
    ['a = b AND c = d', '(a = b) AND (c = d)'],
    ["a LIKE 'x' IN (TRUE)", "(a LIKE 'x') IN (TRUE)"],
    ['NOT EXISTS a', 'NOT (EXISTS a)'],
    ['a <> b', 'a != b'],
    ['not a and TRUE', 'NOT a AND true'],
    ['Source', 'source'],
    ['- 5', '-5'],
    ['int(1)', 'INT(1)'],
    ['\t a\r\n=\n1 ', 'a = 1'],
  ])('reads %j as %j (CQ-2, CQ-11)', (text, same) => expect(bare(parse(text))).toEqual(bare(parse(same))));

  test('keeps operators of one level in one chain, and nests what stands in parentheses', () => {
    expect(bare(parse('a OR b OR c'))).not.toEqual(bare(parse('(a OR b) OR c')));
    expect(parse('a OR b OR c')).toMatchObject({ rest: [{ operator: 'OR' }, { operator: 'OR' }] });
  });

  test.each([
    [String.raw`'it\'s "so"'`, `it's "so"`],
    [String.raw`"a'b\"c"`, `a'b"c`],
    [String.raw`'a\b\%'`, String.raw`a\b\%`],
    [String.raw`'\\'`, String.raw`\\`],
    [String.raw`"\'"`, String.raw`\'`],
    [`'1\n2'`, '1\n2'],
  ])('reads the string %s (CQ-4)', (text, value) => expect(parse(text)).toMatchObject({ kind: 'literal', value }));

  test('tells integers from attributes (CQ-2)', () => {
    expect(parse('123')).toMatchObject({ kind: 'literal', value: 123 });
    expect(parse('1abc')).toMatchObject({ kind: 'attribute', name: '1abc' });
    expect(parse('EXISTS 123')).toMatchObject({ kind: 'exists', name: '123' });
    expect(parse('--10')).toMatchObject({ kind: 'negate', operand: { value: -10 } });
  });

  test.each([
    ['', '0: The expression ends here; expected a value'],
    ['ABC(', '4: The expression ends here; expected a value'],
    ['a =', '3: The expression ends here; expected a value'],
    ['a b', '2: Unexpected b; expected an operator or the end'],
    ["'it''s'", '4: Unexpected string; expected an operator or the end'],
    ["'abc", "0: The string that starts here has no closing '"],
    [String.raw`'abc\'`, "0: The string that starts here has no closing '"],
    ['a LIKE 5', '7: Unexpected 5; the pattern of LIKE must be a string literal'],
    ['a IN ()', '6: Unexpected ); expected a value'],
    ['(a', '2: The expression ends here; expected ) to close the one at 0'],
    ['a = #', '4: "#" has no meaning here'],
    ['a = 😀', '4: "😀" has no meaning here'],
    ['2147483648', '0: An integer must be from -2147483648 to 2147483647'],
    ['-2147483649', '1: An integer must be from -2147483648 to 2147483647'],
    ['in = 1', '0: Unexpected in; expected the name of an attribute'],
    ['EXISTS like', '7: Unexpected like; expected the name of an attribute'],
    ['a_b', '0: Unexpected a_b; expected the name of an attribute'],
    ['F2(1)', '0: Unexpected F2; names of functions have letters and _ only'],
    ['TRUE(1)', '4: Unexpected (; expected an operator or the end'],
    ['a NOT = b', '2: Unexpected NOT; expected an operator or the end'],
    ['+ 5', '0: Unexpected +; expected a value'],
    ['a\u00a0= 1', '1: "\u00a0" has no meaning here'],
    ["'\ud83d'", '0: The expression holds half of a surrogate pair'],
  ])('refuses %j with the place', (text, error) => expect(errorOf(text)).toBe(error));

  test('counts lines and columns from 1', () => {
    expect(lineAndColumn('a =\n  #', 6)).toEqual({ line: 2, column: 3 });
    expect(lineAndColumn('#', 0)).toEqual({ line: 1, column: 1 });
  });

  test.each([
    [
      'a = 1 AND b = 2 OR c = 3',
      ['16: AND, OR and XOR bind equally, from left to right; this means (a = 1 AND b = 2) OR c = 3. Write'],
    ],
    ['a = 1 AND (b = 2 OR c = 3)', []],
    ['a = 1 AND b = 2 AND c = 3', []],
    ['NOT a = 1', ['0: NOT binds tighter than =']],
    ["NOT a LIKE 'x'", ['0: NOT binds tighter than LIKE']],
    ['NOT (a = 1) AND NOT EXISTS b', []],
    ['FOO(1)', ['0: There is no function FOO with 1 argument']],
    ['CONCAT_WS()', ['0: There is no function CONCAT_WS with 0 arguments (known: CONCAT_WS(String, String…))']],
    ["data LIKE '%x%'", ['0: `data` is not an attribute']],
  ])('warns about %j', (text, warnings) => {
    expect(warningsOf(text)).toEqual(warnings.map((warning) => expect.stringContaining(warning)));
  });

  const repeat = (count: number, text: string) => text.repeat(count);

  test.each([
    ['parentheses', (n: number) => `${repeat(n, '(')}a${repeat(n, ')')}`],
    ['NOT', (n: number) => `${repeat(n, 'NOT ')}a`],
    ['minus', (n: number) => `${repeat(n, '-')}a`],
    ['calls', (n: number) => `${repeat(n, 'LOWER(')}a${repeat(n, ')')}`],
    ['sets', (n: number) => `${repeat(n, '1 IN (')}1${repeat(n, ')')}`],
    ['LIKE after LIKE', (n: number) => `a ${repeat(n, "LIKE 'x'")}`],
  ])('bounds the depth of %s (FD-8)', (_, nested) => {
    expect(errorOf(nested(5000))).toContain('nested too deeply');
    const parsed = parse(nested(CESQL_MAX_DEPTH - 1));
    expect(bare(parse(printCesql(parsed)))).toEqual(bare(parsed));
    expect(() => compileCesql(parsed).evaluate(new Map([['a', 'x']]))).not.toThrow();
  });

  test.each([' AND ', ' + ', ' = ', ' * '])('evaluates a chain of %s of any length', (operator) => {
    const text = Array.from({ length: 10_000 }, () => '1').join(operator);
    expect(compileCesql(parse(text)).evaluate(new Map()).errors).toEqual([]);
    expect(printCesql(parse(text)) === text).toBe(true);
  });

  test('reads AND and OR in turns however often, and warns without writing it all down (CQ-11)', () => {
    const text = `${repeat(5900, 'a OR a AND ')}a`;
    expect(warningsOf(text)).toEqual([expect.stringMatching(/^7: .*from left to right\. Write the parentheses/)]);
    expect(compileCesql(parse(text)).passes(new Map([['a', true]]))).toBe(true);
  });

  test('warns a hundred times at most', () => {
    expect(warningsOf(`${repeat(5000, 'data OR ')}a`)).toHaveLength(100);
  });

  test('bounds the length (FD-8)', () => {
    const text = `a = '${repeat(CESQL_MAX_LENGTH - 6, 'x')}'`;
    expect(errorOf(text)).toBe('none');
    expect(errorOf(`${text} `)).toContain('at most 65536 are allowed');
  });

  test(
    'is undone by printing, and undoes it',
    () => {
      fc.assert(
        fc.property(anyCesql(), (expression) => {
          const text = printCesql(expression);
          const again = parse(text);
          if (JSON.stringify(bare(again)) !== JSON.stringify(bare(expression))) {
            expect(bare(again)).toEqual(bare(expression));
          }
          if (printCesql(again) !== text) expect(printCesql(again)).toBe(text);
        }),
        { numRuns: fuzzRuns(2000) },
      );
    },
    FUZZ_TIMEOUT_MS,
  );

  test(
    'answers to any text, and evaluates what it accepts',
    () => {
      const piece = fc.constantFrom(
        ...`a AND OR NOT LIKE IN EXISTS LEFT ( ) , = < > ! - + 5 'x' ' " \\ % * / 2147483648 😀 \ud83d \0 _`.split(' '),
      );
      const texts = fc.oneof(
        fc.string({ unit: 'binary' }),
        fc.array(piece, { maxLength: 12 }).map((all) => all.join(' ')),
      );
      fc.assert(
        fc.property(texts, (text) => {
          const parsed = parseCesql(text);
          if (parsed.ok) compileCesql(parsed.expression).evaluate(new Map([['a', 'x']]));
          else if (parsed.error.position < 0 || parsed.error.position > text.length)
            expect(parsed.error).toBe('inside');
        }),
        { numRuns: fuzzRuns(2000) },
      );
    },
    FUZZ_TIMEOUT_MS,
  );
});
