import type { CesqlErrorKind } from '#core/filter/sql/cesql-error';
import type { CesqlChain, CesqlExpression, CesqlLink, CesqlValue } from '#core/filter/sql/expression';

/** A value, or the kind of the first error with the value that stands for it. */
export interface Interpreted {
  readonly value: CesqlValue;
  readonly error?: CesqlErrorKind;
}

type Attributes = ReadonlyMap<string, CesqlValue>;
type Type = 'string' | 'number' | 'boolean';

const ZERO = { string: '', number: 0, boolean: false } as const;

/**
 * CESQL as the specification reads, walked node by node without a thought for speed, and without any code of the
 * compiler: what compiled expressions are compared with.
 */
export function interpretCesql(expression: CesqlExpression, attributes: Attributes): Interpreted {
  switch (expression.kind) {
    case 'literal':
      return { value: expression.value };
    case 'attribute': {
      const value = attributes.get(expression.name);
      return value === undefined ? { value: false, error: 'missingAttribute' } : { value };
    }
    case 'exists':
      return { value: attributes.has(expression.name) };
    case 'not':
      return apply([expression.operand], ['boolean'], attributes, 'boolean', ([x]) => ({ value: x !== true }));
    case 'negate':
      return apply([expression.operand], ['number'], attributes, 'number', ([x]) => whole(-(x as number)));
    case 'like':
      return apply([expression.operand], ['string'], attributes, 'boolean', ([x]) => ({
        value: isLike(x as string, expression.pattern) !== expression.negated,
      }));
    case 'in':
      return interpretIn(expression, attributes);
    case 'call':
      return interpretCall(expression.name, expression.args, attributes);
    case 'chain':
      return interpretChain(expression, attributes);
  }
}

/** Operands one after the other, each cast to its type; the first error makes the whole the zero value of its type. */
function apply(
  operands: readonly CesqlExpression[],
  types: readonly Type[],
  attributes: Attributes,
  returns: Type,
  work: (values: CesqlValue[]) => Interpreted,
): Interpreted {
  const values: CesqlValue[] = [];
  for (const [i, operand] of operands.entries()) {
    const inner = interpretCesql(operand, attributes);
    const { value, error } = inner.error === undefined ? convert(inner.value, types[i] ?? 'string') : inner;
    if (error !== undefined) return { value: ZERO[returns], error };
    values.push(value);
  }
  return work(values);
}

function convert(value: CesqlValue, type: Type): Interpreted {
  if (typeof value === type) return { value };
  if (type === 'string') return { value: String(value) };
  if (type === 'boolean') {
    if (typeof value === 'number') return { value: value !== 0 };
    const lower = String(value).toLowerCase();
    return ['true', 'false'].includes(lower) ? { value: lower === 'true' } : { value: false, error: 'cast' };
  }
  if (typeof value === 'boolean') return { value: value ? 1 : 0 };
  if (!/^[+-]?\d+$/.test(String(value))) return { value: 0, error: 'cast' };
  const exact = BigInt(String(value).replace(/^\+/, ''));
  return BigInt.asIntN(32, exact) === exact ? { value: Number(exact) } : { value: 0, error: 'cast' };
}

function whole(value: number): Interpreted {
  const fits = Number.isFinite(value) && value >= -(2 ** 31) && value < 2 ** 31;
  return fits ? { value: value === 0 ? 0 : value } : { value: 0, error: 'math' };
}

function interpretIn(node: Extract<CesqlExpression, { kind: 'in' }>, attributes: Attributes): Interpreted {
  const left = interpretCesql(node.operand, attributes);
  if (left.error !== undefined) return { value: false, error: left.error };
  for (const each of node.set) {
    const type = typeof left.value as Type;
    const same = apply([each], [type], attributes, 'boolean', ([y]) => ({ value: y === left.value }));
    if (same.error !== undefined) return same;
    if (same.value === true) return { value: !node.negated };
  }
  return { value: node.negated };
}

/** The chain without its last link is the left operand of that link. */
function interpretChain(chain: CesqlChain, attributes: Attributes): Interpreted {
  const last = chain.rest.at(-1);
  if (last === undefined) return interpretCesql(chain.first, attributes);
  const before = chain.rest.slice(0, -1);
  const left: CesqlExpression = before.length === 0 ? chain.first : { ...chain, rest: before };
  return interpretBinary(left, last, attributes);
}

function interpretBinary(left: CesqlExpression, { operator, operand }: CesqlLink, attributes: Attributes): Interpreted {
  switch (operator) {
    case 'AND':
    case 'OR': {
      const x = apply([left], ['boolean'], attributes, 'boolean', ([value]) => ({ value: value === true }));
      if (x.error !== undefined || x.value === (operator === 'OR')) return x;
      return apply([operand], ['boolean'], attributes, 'boolean', ([value]) => ({ value: value === true }));
    }
    case 'XOR':
      return apply([left, operand], ['boolean', 'boolean'], attributes, 'boolean', ([x, y]) => ({ value: x !== y }));
    case '=':
    case '!=':
      return interpretEquality(left, operator === '=', operand, attributes);
    case '<':
    case '<=':
    case '>':
    case '>=':
      return apply([left, operand], ['number', 'number'], attributes, 'boolean', ([x, y]) => ({
        value: compare(Number(x), Number(y), operator),
      }));
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return apply([left, operand], ['number', 'number'], attributes, 'number', ([x, y]) =>
        calculate(BigInt(x as number), BigInt(y as number), operator),
      );
  }
}

function interpretEquality(
  left: CesqlExpression,
  wanted: boolean,
  right: CesqlExpression,
  attributes: Attributes,
): Interpreted {
  const x = interpretCesql(left, attributes);
  if (x.error !== undefined) return { value: false, error: x.error };
  const y = interpretCesql(right, attributes);
  if (y.error !== undefined) return { value: false, error: y.error };
  const same = convert(x.value, typeof y.value as Type);
  return same.error === undefined ? { value: (same.value === y.value) === wanted } : { value: false, error: 'cast' };
}

function compare(x: number, y: number, operator: '<' | '<=' | '>' | '>='): boolean {
  const order = Math.sign(x - y);
  return order === 0 ? operator.endsWith('=') : order < 0 === operator.startsWith('<');
}

function calculate(x: bigint, y: bigint, operator: string): Interpreted {
  if (y === 0n && '/%'.includes(operator)) return { value: 0, error: 'math' };
  const exact =
    operator === '+' ? x + y : operator === '-' ? x - y : operator === '*' ? x * y : operator === '/' ? x / y : x % y;
  return whole(Number(exact));
}

/** A table of "the first i characters match the first j of the pattern". */
function isLike(text: string, pattern: string): boolean {
  const wanted = Array.from(pattern.matchAll(/\\[%_]|[^]/gu), ([token]) => token);
  const characters = Array.from(text);
  let row = [true, ...characters.map(() => false)];
  for (const token of wanted) {
    const next = [token === '%' && row[0] === true];
    for (const [i, character] of characters.entries()) {
      const fits = token === '_' || character === (token.length > 1 && token !== character ? token.slice(1) : token);
      next.push(token === '%' ? row[i + 1] === true || next[i] === true : row[i] === true && fits);
    }
    row = next;
  }
  return row.at(-1) === true;
}

function interpretCall(name: string, args: readonly CesqlExpression[], attributes: Attributes): Interpreted {
  const strings = args.map((): Type => 'string');
  const text = (work: (values: string[]) => Interpreted) =>
    apply(args, strings, attributes, 'string', (values) => work(values as string[]));
  switch (`${name}/${args.length}`) {
    case 'LENGTH/1':
      return apply(args, strings, attributes, 'number', ([x]) => ({ value: Array.from(x as string).length }));
    case 'LOWER/1':
      return text(([x = '']) => ({ value: x.toLowerCase() }));
    case 'UPPER/1':
      return text(([x = '']) => ({ value: x.toUpperCase() }));
    case 'TRIM/1':
      return text(([x = '']) => ({ value: x.replace(/^\p{White_Space}+/u, '').replace(/\p{White_Space}+$/u, '') }));
    case 'ABS/1':
      return apply(args, ['number'], attributes, 'number', ([x]) =>
        x === -(2 ** 31) ? { value: 2 ** 31 - 1, error: 'math' } : { value: Math.abs(x as number) },
      );
    case 'INT/1':
      return apply(args, ['number'], attributes, 'number', ([value = 0]) => ({ value }));
    case 'BOOL/1':
      return apply(args, ['boolean'], attributes, 'boolean', ([value = false]) => ({ value }));
    case 'STRING/1':
      return text(([value = '']) => ({ value }));
    case 'LEFT/2':
    case 'RIGHT/2':
      return apply(args, ['string', 'number'], attributes, 'string', ([x, n]) => end(name, x as string, n as number));
    case 'SUBSTRING/2':
    case 'SUBSTRING/3':
      return apply(args, ['string', 'number', 'number'], attributes, 'string', ([x, position, length = 2 ** 31]) =>
        substring(Array.from(x as string), position as number, length as number),
      );
    default:
      if (name === 'CONCAT') return text((values) => ({ value: values.join('') }));
      if (name === 'CONCAT_WS' && args.length > 0) {
        return text(([delimiter, ...values]) => ({ value: values.join(delimiter) }));
      }
      return { value: false, error: 'missingFunction' };
  }
}

function end(name: string, text: string, count: number): Interpreted {
  if (count < 0) return { value: text, error: 'functionEvaluation' };
  const characters = Array.from(text);
  const kept = characters.filter((_, i) => (name === 'LEFT' ? i < count : i >= characters.length - count));
  return { value: kept.join('') };
}

function substring(characters: readonly string[], position: number, length: number): Interpreted {
  if (length < 0) return { value: '', error: 'functionEvaluation' };
  if (position === 0) return { value: '' };
  const from = position > 0 ? position : characters.length + position + 1;
  if (from < 1 || from > characters.length) return { value: '', error: 'functionEvaluation' };
  return { value: characters.filter((_, i) => i + 1 >= from && i + 1 < from + length).join('') };
}
