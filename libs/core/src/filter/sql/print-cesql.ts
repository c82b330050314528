import { levelOf, levelOfChain, type CesqlExpression, type CesqlValue } from './expression.ts';
import { quote } from './lexer.ts';

const ABOVE_CHAINS = 4;
const UNARY = 5;

/**
 * An expression as text, with no more parentheses than it needs. Parsed again, it gives the same tree.
 *
 * @throws RangeError for a string that no literal can have, such as one that ends in a single backslash; what comes from
 *   the parser has none
 */
export function printCesql(expression: CesqlExpression): string {
  return print(expression, 0);
}

/** @param tightness level that the expression must have at least to stand without parentheses */
function print(expression: CesqlExpression, tightness: number): string {
  const text = printBare(expression);
  return tightnessOf(expression) < tightness ? `(${text})` : text;
}

function tightnessOf(expression: CesqlExpression): number {
  if (expression.kind === 'chain') return levelOfChain(expression);
  return expression.kind === 'like' || expression.kind === 'in' ? ABOVE_CHAINS : UNARY;
}

function printBare(expression: CesqlExpression): string {
  switch (expression.kind) {
    case 'literal':
      return printValue(expression.value);
    case 'attribute':
      return expression.name;
    case 'exists':
      return `EXISTS ${expression.name}`;
    case 'not':
      return `NOT ${print(expression.operand, UNARY)}`;
    case 'negate':
      return `-${printNegated(expression.operand)}`;
    case 'like':
      return `${print(expression.operand, ABOVE_CHAINS)}${not(expression.negated)} LIKE ${quoted(expression.pattern)}`;
    case 'in':
      return `${print(expression.operand, ABOVE_CHAINS)}${not(expression.negated)} IN ${list(expression.set)}`;
    case 'call':
      return `${expression.name}${list(expression.args)}`;
    case 'chain':
      return printChain(expression);
  }
}

function printChain({ first, rest }: Extract<CesqlExpression, { kind: 'chain' }>): string {
  const links = rest.map(({ operator, operand }) => ` ${operator} ${print(operand, levelOf(operator) + 1)}`);
  const level = rest[0] === undefined ? 0 : levelOf(rest[0].operator);
  return print(first, level + 1) + links.join('');
}

/** `-5` would be read as a literal. */
function printNegated(operand: CesqlExpression): string {
  const isDigits = operand.kind === 'literal' && typeof operand.value === 'number' && operand.value >= 0;
  return isDigits ? `(${operand.value})` : print(operand, UNARY);
}

function printValue(value: CesqlValue): string {
  if (typeof value === 'boolean') return value ? 'TRUE' : 'FALSE';
  return typeof value === 'number' ? String(value) : quoted(value);
}

function quoted(content: string): string {
  const literal = quote(content);
  if (literal === undefined) throw new RangeError(`no CESQL literal has the content ${JSON.stringify(content)}`);
  return literal;
}

function list(expressions: readonly CesqlExpression[]): string {
  return `(${expressions.map((expression) => print(expression, 0)).join(', ')})`;
}

function not(negated: boolean): string {
  return negated ? ' NOT' : '';
}
