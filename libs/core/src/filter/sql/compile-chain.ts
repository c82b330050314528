import { int32, toText, typeOf } from './casts.ts';
import { castTo, type Context, type Evaluate, type Failure } from './evaluation.ts';
import {
  levelOfChain,
  type CesqlChain,
  type CesqlExpression,
  type CesqlLink,
  type CesqlType,
  type CesqlValue,
} from './expression.ts';

type Compile = (expression: CesqlExpression) => Evaluate;

/** One operator and its right operand, applied to a left value. */
type Apply = (left: CesqlValue, context: Context) => CesqlValue | Failure;

/** Binary operators: a loop from left to right (CQ-11) that ends at the first error. */
export function compileChain(node: CesqlChain, compile: Compile): Evaluate {
  const level = levelOfChain(node);
  if (level === 0) return compileLogic(node, compile);
  const links = node.rest.map((link) =>
    level === 1 ? compileComparison(node, link, compile) : compileArithmetic(node, link, compile),
  );
  const first = compile(node.first);
  const [only] = links;
  if (links.length === 1 && only !== undefined) {
    return (context) => {
      const left = first(context);
      return typeof left === 'object' ? left : only(left, context);
    };
  }
  return (context) => {
    let value = first(context);
    for (const apply of links) {
      if (typeof value === 'object') return value;
      value = apply(value, context);
    }
    return value;
  };
}

/** AND and OR leave out a right side that cannot change the value (CQ-5); XOR has none. */
function compileLogic(node: CesqlChain, compile: Compile): Evaluate {
  const first = compileTo('Boolean', node.first, compile);
  const rest = node.rest.map(({ operator, operand }) => ({
    isXor: operator === 'XOR',
    /** The left value with which the right side has no say. */
    decided: operator === 'AND' ? false : operator === 'OR' ? true : undefined,
    evaluate: compileTo('Boolean', operand, compile),
  }));
  return (context) => {
    let value = first(context);
    for (const { isXor, decided, evaluate } of rest) {
      if (typeof value === 'object') return value;
      if (value === decided) continue;
      const right = evaluate(context);
      value = isXor && typeof right !== 'object' ? value !== right : right;
    }
    return value;
  };
}

/** The operand in a type, or a CastError. */
export function compileTo(type: CesqlType, operand: CesqlExpression, compile: Compile): Evaluate {
  const evaluate = compile(operand);
  return (context) => castTo(type, evaluate(context), operand);
}

function compileArithmetic(node: CesqlChain, link: CesqlLink, compile: Compile): Apply {
  const right = compileTo('Integer', link.operand, compile);
  return (left, context) => {
    const x = castTo('Integer', left, node.first);
    if (typeof x === 'object') return x;
    const y = right(context);
    return typeof y === 'object' ? y : calculate(x as number, y as number, link, node);
  };
}

/** A result of more than 32 bits is a MathError and 0, as for a division by zero; the specification is silent. */
function calculate(x: number, y: number, { operator, at }: CesqlLink, node: CesqlChain): number | Failure {
  const value = int32(arithmetic(x, y, operator));
  if (value !== undefined) return value;
  const isDivision = y === 0 && (operator === '/' || operator === '%');
  const detail = isDivision ? `Division by zero in ${x} ${operator} 0` : `${x} ${operator} ${y} has more than 32 bits`;
  return { error: { kind: 'math', detail, position: at }, node, value: 0 };
}

/** CQ-5: `/` truncates, `%` has the sign of the dividend. By zero they give what {@link int32} refuses. */
function arithmetic(x: number, y: number, operator: CesqlLink['operator']): number {
  if (operator === '+') return x + y;
  if (operator === '-') return x - y;
  if (operator === '*') return x * y;
  return operator === '/' ? Math.trunc(x / y) : x % y;
}

function compileComparison(node: CesqlChain, link: CesqlLink, compile: Compile): Apply {
  const { operator, operand } = link;
  if (operator === '=' || operator === '!=') return compileEquality(node, operator === '=', operand, compile);
  const right = compileTo('Integer', operand, compile);
  return (left, context) => {
    const x = castTo('Integer', left, node.first);
    if (typeof x === 'object') return x;
    const y = right(context);
    return typeof y === 'object' ? y : compare(x as number, y as number, operator);
  };
}

function compare(x: number, y: number, operator: CesqlLink['operator']): boolean {
  if (operator === '<') return x < y;
  if (operator === '<=') return x <= y;
  return operator === '>' ? x > y : x >= y;
}

/** The right operand decides the type (CQ-7): `true = 'TRUE'` is false, `'TRUE' = true` is true. */
function compileEquality(node: CesqlChain, wanted: boolean, operand: CesqlExpression, compile: Compile): Apply {
  if (operand.kind === 'literal' && typeof operand.value === 'string') {
    const text = operand.value;
    return (left) => (toText(left) === text) === wanted;
  }
  const right = compile(operand);
  return (left, context) => {
    const y = right(context);
    if (typeof y === 'object') return y;
    const x = castTo(typeOf(y), left, node.first);
    return typeof x === 'object' ? x : (x === y) === wanted;
  };
}
