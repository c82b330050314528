/** The three primitive types (CQ-1); everything else of an event appears as String. */
export type CesqlType = 'String' | 'Integer' | 'Boolean';

/** A String, an Integer of 32 bits or a Boolean. */
export type CesqlValue = string | number | boolean;

/** Binary operators; `<>` is read as `!=`. */
export type CesqlOperator = '*' | '/' | '%' | '+' | '-' | '=' | '!=' | '<' | '<=' | '>' | '>=' | 'AND' | 'OR' | 'XOR';

/**
 * A parsed expression of the CloudEvents SQL expression language, v1.
 *
 * Operators of one level stand side by side in a chain, to be evaluated from left to right (CQ-11), not nested in each
 * other: thousands of `OR` cost a loop, not a deep stack. Parentheses are not kept; they show as nesting.
 *
 * `at` is where the node starts in the text, in UTF-16 units from 0.
 */
export type CesqlExpression =
  | { readonly kind: 'literal'; readonly value: CesqlValue; readonly at: number }
  | { readonly kind: 'attribute'; readonly name: string; readonly at: number }
  | { readonly kind: 'exists'; readonly name: string; readonly at: number }
  | { readonly kind: 'not' | 'negate'; readonly operand: CesqlExpression; readonly at: number }
  | CesqlLike
  | CesqlIn
  | CesqlCall
  | CesqlChain;

export interface CesqlLike {
  readonly kind: 'like';
  readonly operand: CesqlExpression;
  readonly negated: boolean;
  /** As written between the quotes: `\%` and `\_` still escaped. */
  readonly pattern: string;
  readonly at: number;
}

export interface CesqlIn {
  readonly kind: 'in';
  readonly operand: CesqlExpression;
  readonly negated: boolean;
  /** At least one. */
  readonly set: readonly CesqlExpression[];
  readonly at: number;
}

export interface CesqlCall {
  readonly kind: 'call';
  /** In upper case: names are case-insensitive (CQ-2). */
  readonly name: string;
  readonly args: readonly CesqlExpression[];
  readonly at: number;
}

export interface CesqlChain {
  readonly kind: 'chain';
  readonly first: CesqlExpression;
  /** At least one; the operators are all of one level, see {@link levelOf}. */
  readonly rest: readonly CesqlLink[];
  readonly at: number;
}

export interface CesqlLink {
  readonly operator: CesqlOperator;
  readonly operand: CesqlExpression;
  /** Where the operator stands. */
  readonly at: number;
}

/** Precedence of a binary operator; higher binds tighter. AND, OR and XOR share the lowest (CQ-11). */
export function levelOf(operator: CesqlOperator): Level {
  return LEVELS[operator];
}

type Level = 0 | 1 | 2 | 3;

const LEVELS: Readonly<Record<CesqlOperator, Level>> = {
  AND: 0,
  OR: 0,
  XOR: 0,
  '=': 1,
  '!=': 1,
  '<': 1,
  '<=': 1,
  '>': 1,
  '>=': 1,
  '+': 2,
  '-': 2,
  '*': 3,
  '/': 3,
  '%': 3,
};

/** The level of a chain, taken from its first operator. */
export function levelOfChain({ rest }: CesqlChain): Level {
  const operator = rest[0]?.operator;
  return operator === undefined ? 0 : levelOf(operator);
}

/** What stands for "nothing" of a type (CQ-1). */
export function zeroOf(type: CesqlType): CesqlValue {
  return type === 'String' ? '' : type === 'Integer' ? 0 : false;
}
