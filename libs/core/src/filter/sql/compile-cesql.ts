import { int32, toText, typeOf } from './casts.ts';
import type { CesqlError } from './cesql-error.ts';
import { compileChain, compileTo } from './compile-chain.ts';
import {
  castTo,
  fail,
  OutOfSteps,
  spend,
  type CesqlAttributes,
  type Evaluate,
  type Failure,
  type StepCount,
} from './evaluation.ts';
import {
  levelOfChain,
  zeroOf,
  type CesqlCall,
  type CesqlExpression,
  type CesqlIn,
  type CesqlLike,
  type CesqlType,
  type CesqlValue,
} from './expression.ts';
import { BUILT_IN_FUNCTIONS, type CesqlFunction, type CesqlFunctions } from './functions.ts';
import { compileLike } from './like.ts';

/** What an expression is for an event: always a value, beside it what went wrong (CQ-1). */
export interface CesqlResult {
  readonly value: CesqlValue;
  /** Empty or one: evaluation ends at the first error (fail-fast mode, FD-5). */
  readonly errors: readonly CesqlError[];
}

export interface CompiledCesql {
  /** @param count what others have cost that share the limit; goes on with this one. Default: a limit of its own */
  evaluate(attributes: CesqlAttributes, count?: StepCount): CesqlResult;
  /** True when the value is the Boolean true and there is no error (FD-5). */
  passes(attributes: CesqlAttributes, count?: StepCount): boolean;
}

/**
 * Compiles an expression to closures, once. Evaluation is total: whatever the attributes, it answers, in bounded time
 * (CQ-12).
 *
 * An error inside of an expression makes it the zero value of its type (CQ-8), whichever operator it stands in: `NOT`
 * of an error is false, too. Only what raises an error itself may have another value: `ABS(-2147483648)`, `LEFT(x, -1)`.
 */
export function compileCesql(
  expression: CesqlExpression,
  functions: CesqlFunctions = BUILT_IN_FUNCTIONS,
): CompiledCesql {
  const root = compile(expression, functions);
  const zero = zeroOf(returnTypeOf(expression, functions));
  return {
    evaluate(attributes, count) {
      const result = run(root, expression, attributes, count);
      if (typeof result !== 'object') return { value: result, errors: [] };
      return { value: result.node === expression ? result.value : zero, errors: [result.error] };
    },
    passes: (attributes, count) => run(root, expression, attributes, count) === true,
  };
}

function run(
  root: Evaluate,
  expression: CesqlExpression,
  attributes: CesqlAttributes,
  count: StepCount = { steps: 0 },
): CesqlValue | Failure {
  const context = { attributes, steps: count.steps };
  try {
    return root(context);
  } catch (error) {
    if (!(error instanceof OutOfSteps)) throw error;
    return fail('generic', 'For this event the expressions take too long to evaluate', expression, false);
  } finally {
    count.steps = context.steps;
  }
}

/** Boolean where only the event decides (CQ-8). */
function returnTypeOf(expression: CesqlExpression, functions: CesqlFunctions): CesqlType {
  if (expression.kind === 'literal') return typeOf(expression.value);
  if (expression.kind === 'negate') return 'Integer';
  if (expression.kind === 'call') {
    return functions.find(expression.name, expression.args.length)?.returns ?? 'Boolean';
  }
  return expression.kind === 'chain' && levelOfChain(expression) > 1 ? 'Integer' : 'Boolean';
}

function compile(expression: CesqlExpression, functions: CesqlFunctions): Evaluate {
  const compileOperand = (operand: CesqlExpression): Evaluate => compile(operand, functions);
  switch (expression.kind) {
    case 'literal':
      return () => expression.value;
    case 'attribute':
      return compileAttribute(expression);
    case 'exists':
      return ({ attributes }) => attributes.get(expression.name) !== undefined;
    case 'not':
      return compileNot(compileTo('Boolean', expression.operand, compileOperand));
    case 'negate':
      return compileNegate(expression, compileTo('Integer', expression.operand, compileOperand));
    case 'like':
      return compileLikeNode(expression, compileOperand(expression.operand));
    case 'in':
      return compileIn(expression, compileOperand);
    case 'call':
      return compileCall(expression, functions, compileOperand);
    case 'chain':
      return compileChain(expression, compileOperand);
  }
}

function compileAttribute(node: Extract<CesqlExpression, { kind: 'attribute' }>): Evaluate {
  const { name } = node;
  const missing = fail('missingAttribute', `The event has no attribute ${name}`, node, false);
  return (context) => {
    const value = context.attributes.get(name);
    if (typeof value === 'string') {
      spend(context, value.length);
      return value;
    }
    if (value === undefined) return missing;
    return typeof value === 'number' && int32(value) !== value ? toText(value) : value;
  };
}

function compileNot(operand: Evaluate): Evaluate {
  return (context) => {
    const value = operand(context);
    return typeof value === 'object' ? value : !value;
  };
}

function compileNegate(node: CesqlExpression, operand: Evaluate): Evaluate {
  return (context) => {
    const value = operand(context);
    if (typeof value === 'object') return value;
    return int32(-(value as number)) ?? fail('math', '-(-2147483648) has more than 32 bits', node, 0);
  };
}

function compileLikeNode({ pattern, negated }: CesqlLike, operand: Evaluate): Evaluate {
  const matches = compileLike(pattern);
  return (context) => {
    const value = operand(context);
    return typeof value === 'object' ? value : matches(toText(value), context) !== negated;
  };
}

/** The left operand decides the type (CQ-7). Ends at the first element that is equal. */
function compileIn(node: CesqlIn, compileOperand: (operand: CesqlExpression) => Evaluate): Evaluate {
  const operand = compileOperand(node.operand);
  const set = node.set.map((each) => ({ each, evaluate: compileOperand(each) }));
  return (context) => {
    const value = operand(context);
    if (typeof value === 'object') return value;
    const type = typeOf(value);
    for (const { each, evaluate } of set) {
      const element = castTo(type, evaluate(context), each);
      if (typeof element === 'object') return element;
      if (element === value) return !node.negated;
    }
    return node.negated;
  };
}

function compileCall(
  node: CesqlCall,
  functions: CesqlFunctions,
  compileOperand: (operand: CesqlExpression) => Evaluate,
): Evaluate {
  const called = functions.find(node.name, node.args.length);
  if (called === undefined) {
    const wanted = functions.describe(node.name, node.args.length);
    const missing = fail('missingFunction', `There is no function ${wanted}`, node, false);
    return () => missing;
  }
  const args = node.args.map((each, i) =>
    compileTo(called.parameters[i] ?? called.variadic ?? 'String', each, compileOperand),
  );
  return (context) => {
    const values: CesqlValue[] = [];
    for (const evaluate of args) {
      const value = evaluate(context);
      if (typeof value === 'object') return value;
      values.push(value);
    }
    const result = call(called, values, node);
    if (typeof result === 'string') spend(context, result.length);
    return result;
  };
}

/** A function of the user may do anything; the expression stays total (CESQL 3.5.3). */
function call(called: CesqlFunction, values: readonly CesqlValue[], node: CesqlCall): CesqlValue | Failure {
  let result;
  try {
    result = called.call(values);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return fail('functionEvaluation', `${node.name} failed: ${reason}`, node, zeroOf(called.returns));
  }
  const value = typeof result === 'object' ? result.value : result;
  if (!isOfType(value, called.returns)) {
    return fail('functionEvaluation', `${node.name} did not give a ${called.returns}`, node, zeroOf(called.returns));
  }
  return typeof result === 'object' ? fail(result.kind, result.detail, node, value) : result;
}

function isOfType(value: CesqlValue, type: CesqlType): boolean {
  return typeOf(value) === type && (typeof value !== 'number' || int32(value) === value);
}
