import fc from 'fast-check';
import type { CesqlExpression, CesqlOperator, CesqlValue } from '#core/filter/sql/expression';

/** Few letters, so that expressions and events meet; `ö` and `😀` take more than one byte or unit. */
const text = fc.string({
  unit: fc.constantFrom('a', 'b', 'B', ' ', '.', '5', '-', 'ö', '😀', '%', '_', "'"),
  maxLength: 5,
});
const lookalike = fc.constantFrom('5', '-1', '+7', '007', '2147483648', 'true', 'False', 'TRUE', '');
const integer = fc.oneof(fc.integer({ min: -9, max: 9 }), fc.constantFrom(2147483647, -2147483648, 65536, 46341));
const value: fc.Arbitrary<CesqlValue> = fc.oneof(text, lookalike, integer, fc.boolean());
const name = fc.constantFrom('a', 'b', 'id', 'type', '1x');

/** The attributes of an event that {@link anyCesql} talks about; each may be missing. */
export function anyCesqlAttributes(): fc.Arbitrary<Map<string, CesqlValue>> {
  return fc.array(fc.tuple(name, value), { maxLength: 12 }).map((pairs) => new Map(pairs));
}

const LEVELS: readonly (readonly CesqlOperator[])[] = [
  ['AND', 'OR', 'XOR'],
  ['=', '!=', '<', '<=', '>', '>='],
  ['+', '-'],
  ['*', '/', '%'],
];

/** Names of functions by their number of arguments; not all of them exist. */
const FUNCTIONS: readonly (readonly string[])[] = [
  ['CONCAT', 'CONCAT_WS'],
  ['LENGTH', 'LOWER', 'UPPER', 'TRIM', 'ABS', 'INT', 'BOOL', 'STRING', 'CONCAT', 'NOPE'],
  ['LEFT', 'RIGHT', 'SUBSTRING', 'CONCAT', 'CONCAT_WS'],
  ['SUBSTRING', 'CONCAT_WS'],
];

/** Any expression as the parser gives it, except that all positions are 0. */
export function anyCesql(): fc.Arbitrary<CesqlExpression> {
  const { expression } = fc.letrec<{ expression: CesqlExpression }>((tie) => ({
    expression: fc.oneof(
      { maxDepth: 4, depthIdentifier: 'cesql', withCrossShrink: true },
      leaf(),
      ...nodes(tie('expression')),
    ),
  }));
  return expression;
}

function leaf(): fc.Arbitrary<CesqlExpression> {
  return fc.oneof(
    value.map((each): CesqlExpression => ({ kind: 'literal', value: each, at: 0 })),
    name.map((each): CesqlExpression => ({ kind: 'attribute', name: each, at: 0 })),
    fc.constantFrom('a', 'id', '12').map((each): CesqlExpression => ({ kind: 'exists', name: each, at: 0 })),
  );
}

function nodes(operand: fc.Arbitrary<CesqlExpression>): fc.Arbitrary<CesqlExpression>[] {
  const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '%', '_', '\\%', '\\_', '😀', 'ö'), maxLength: 6 });
  const operands = fc.array(operand, { minLength: 1, maxLength: 3 });
  const call = fc.constantFrom(...FUNCTIONS.entries()).chain(([count, names]) =>
    fc.record({
      kind: fc.constant('call'),
      name: fc.constantFrom(...names),
      args: fc.array(operand, { minLength: count, maxLength: count }),
      at: fc.constant(0),
    }),
  );
  const chain = fc.constantFrom(...LEVELS).chain((operators) => {
    const link = fc.record({ operator: fc.constantFrom(...operators), operand, at: fc.constant(0) });
    return fc
      .tuple(operand, fc.array(link, { minLength: 1, maxLength: 3 }))
      .map(([first, rest]): CesqlExpression => ({ kind: 'chain', first, rest, at: 0 }));
  });
  const at = fc.constant(0);
  return [
    fc.record({ kind: fc.constantFrom('not', 'negate'), operand, at }),
    fc.record({ kind: fc.constant('like'), operand, negated: fc.boolean(), pattern, at }),
    fc.record({ kind: fc.constant('in'), operand, negated: fc.boolean(), set: operands, at }),
    call,
    chain,
    chain,
  ];
}
