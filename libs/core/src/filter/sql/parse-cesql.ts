import type { CesqlError, CesqlWarning } from './cesql-error.ts';
import { levelOf, type CesqlExpression, type CesqlLink, type CesqlOperator } from './expression.ts';
import { BUILT_IN_FUNCTIONS, type CesqlFunctions } from './functions.ts';
import { CesqlSyntaxError, tokenize, type Token } from './lexer.ts';
import { printCesql } from './print-cesql.ts';

export type ParsedCesql =
  | {
      readonly ok: true;
      readonly expression: CesqlExpression;
      /** What is valid but most likely a mistake: the first hundred. */
      readonly warnings: readonly CesqlWarning[];
    }
  | { readonly ok: false; readonly error: CesqlError };

/** Longest text, in UTF-16 units: 64 KiB (FD-8). */
export const CESQL_MAX_LENGTH = 65_536;

/** Parentheses, arguments, sets and unary operators inside of each other. Keeps every walk over the tree off the stack's end. */
export const CESQL_MAX_DEPTH = 100;

/**
 * Reads an expression (CQ-2 … CQ-5, CQ-11). AND, OR and XOR are left-associative, as the text of the specification has
 * it (D4); its ANTLR grammar makes them right-associative. Total: whatever the text, it answers.
 *
 * @param functions what calls are checked against, for warnings
 */
export function parseCesql(text: string, functions: CesqlFunctions = BUILT_IN_FUNCTIONS): ParsedCesql {
  try {
    refuseUnreadable(text);
    const parser = makeParser(tokenize(text), functions);
    return { ok: true, expression: parser.parseAll(), warnings: parser.warnings };
  } catch (error) {
    if (!(error instanceof CesqlSyntaxError)) throw error;
    return { ok: false, error: { kind: 'parse', detail: error.message, position: error.position } };
  }
}

function refuseUnreadable(text: string): void {
  if (text.length > CESQL_MAX_LENGTH) {
    throw new CesqlSyntaxError(
      `The expression has ${text.length} characters; at most ${CESQL_MAX_LENGTH} are allowed`,
      0,
    );
  }
  if (!text.isWellFormed()) throw new CesqlSyntaxError('The expression holds half of a surrogate pair', 0);
}

const KEYWORDS: ReadonlySet<string> = new Set(['AND', 'OR', 'XOR', 'NOT', 'LIKE', 'EXISTS', 'IN', 'TRUE', 'FALSE']);
const COMPARISONS: Readonly<Record<string, CesqlOperator>> = {
  '=': '=',
  '!=': '!=',
  '<>': '!=',
  '<': '<',
  '<=': '<=',
  '>': '>',
  '>=': '>=',
};
const ATTRIBUTE = /^[A-Za-z0-9]+$/;
const FUNCTION = /^[A-Za-z][A-Za-z_]*$/;
const MAX_MAGNITUDE = 2_147_483_648;
const LOGIC_LEVEL = 0;
const TIGHTEST_LEVEL = 3;
/** Longer ones help nobody. */
const MAX_SHOWN_LENGTH = 300;
/** A chain of more is longer. It must not be nested either: thousands of levels are more than the stack has. */
const MAX_SHOWN_LINKS = MAX_SHOWN_LENGTH / ' OR a'.length;
/** Who has so many knows by then; each is a sentence with its place in the text. */
const MAX_WARNINGS = 100;

interface Parser {
  parseAll(): CesqlExpression;
  readonly warnings: readonly CesqlWarning[];
}

/** Recursive descent: one function for each level of precedence, loosest first. */
function makeParser(tokens: readonly Token[], functions: CesqlFunctions): Parser {
  const end = tokens.at(-1) as Token;
  const warnings: CesqlWarning[] = [];
  let next = 0;
  let repeatedSuffixCount = 0;

  const peek = (ahead = 0): Token => tokens[next + ahead] ?? end;

  function take(): Token {
    const token = peek();
    next++;
    return token;
  }

  function takeSymbol(symbol: string, why: string): void {
    const token = peek();
    if (token.kind !== 'symbol' || token.text !== symbol) {
      throw unexpected(token, `expected ${symbol} ${why}`);
    }
    next++;
  }

  function warn(detail: string, position: number): void {
    if (warnings.length < MAX_WARNINGS) warnings.push({ detail, position });
  }

  function parseAll(): CesqlExpression {
    const expression = parseChain(LOGIC_LEVEL, 0);
    const token = peek();
    if (token.kind !== 'end') throw unexpected(token, 'expected an operator or the end');
    return expression;
  }

  function parseChain(level: number, depth: number): CesqlExpression {
    const start = peek();
    const first = parseOperand(level, depth);
    const rest: CesqlLink[] = [];
    for (let operator = operatorOf(peek()); operator && levelOf(operator) === level; operator = operatorOf(peek())) {
      const { at } = take();
      rest.push({ operator, operand: parseOperand(level, depth), at });
    }
    if (rest.length === 0) return first;
    if (level === LOGIC_LEVEL) warnIfMixed(first, rest);
    if (level === 1 && keywordOf(start) === 'NOT') warnAboutNot(start, rest[0]?.operator ?? '=');
    return { kind: 'chain', first, rest, at: first.at };
  }

  function parseOperand(level: number, depth: number): CesqlExpression {
    return level === TIGHTEST_LEVEL ? parseSuffixed(depth) : parseChain(level + 1, depth);
  }

  /** LIKE and IN bind tighter than arithmetic, looser than NOT and the unary minus. */
  function parseSuffixed(depth: number): CesqlExpression {
    const start = peek();
    let operand = parseUnary(depth);
    for (let isRepeated = false; ; isRepeated = true) {
      const negated = keywordOf(peek()) === 'NOT';
      const keyword = keywordOf(peek(negated ? 1 : 0));
      if (keyword !== 'LIKE' && keyword !== 'IN') return operand;
      next += negated ? 2 : 1;
      if (isRepeated) countRepeatedSuffix(operand.at);
      else if (keywordOf(start) === 'NOT') warnAboutNot(start, keyword);
      operand = keyword === 'LIKE' ? parseLike(operand, negated) : parseIn(operand, negated, depth);
    }
  }

  function countRepeatedSuffix(at: number): void {
    if (++repeatedSuffixCount > CESQL_MAX_DEPTH) throw tooDeep(at);
  }

  function parseLike(operand: CesqlExpression, negated: boolean): CesqlExpression {
    const token = take();
    if (token.kind !== 'string') throw unexpected(token, 'the pattern of LIKE must be a string literal');
    return { kind: 'like', operand, negated, pattern: token.text, at: operand.at };
  }

  function parseIn(operand: CesqlExpression, negated: boolean, depth: number): CesqlExpression {
    takeSymbol('(', 'to open the set of IN');
    return { kind: 'in', operand, negated, set: parseList(depth), at: operand.at };
  }

  /** At least one expression, up to and with the closing parenthesis. */
  function parseList(depth: number): CesqlExpression[] {
    const list = [parseNested(depth)];
    while (peek().kind === 'symbol' && peek().text === ',') {
      next++;
      list.push(parseNested(depth));
    }
    takeSymbol(')', 'or a comma');
    return list;
  }

  function parseNested(depth: number): CesqlExpression {
    if (depth >= CESQL_MAX_DEPTH) throw tooDeep(peek().at);
    return parseChain(LOGIC_LEVEL, depth + 1);
  }

  function parseUnary(depth: number): CesqlExpression {
    const token = peek();
    if (keywordOf(token) === 'NOT') return parseUnaryOperand('not', token, depth);
    if (token.kind !== 'symbol') return parsePrimary(depth);
    if (token.text === '-') {
      return peek(1).kind === 'integer' ? parseInteger(-1) : parseUnaryOperand('negate', token, depth);
    }
    if (token.text === '+' && peek(1).kind === 'integer' && peek(1).at === token.end) return parseInteger(1);
    return parsePrimary(depth);
  }

  function parseUnaryOperand(kind: 'not' | 'negate', { at }: Token, depth: number): CesqlExpression {
    if (depth >= CESQL_MAX_DEPTH) throw tooDeep(at);
    next++;
    return { kind, operand: parseUnary(depth + 1), at };
  }

  /** The sign is part of the literal, or else -2147483648 could not be written (CQ-3). */
  function parseInteger(sign: 1 | -1): CesqlExpression {
    const { at } = take();
    return { kind: 'literal', value: integerOf(take(), sign), at };
  }

  function parsePrimary(depth: number): CesqlExpression {
    const token = take();
    switch (token.kind) {
      case 'integer':
        return { kind: 'literal', value: integerOf(token, 1), at: token.at };
      case 'string':
        return { kind: 'literal', value: token.text, at: token.at };
      case 'word':
        return parseWord(token, depth);
      case 'symbol': {
        if (token.text !== '(') throw unexpected(token, 'expected a value');
        const inner = parseNested(depth);
        takeSymbol(')', `to close the one at ${token.at}`);
        return inner;
      }
      case 'end':
        throw unexpected(token, 'expected a value');
    }
  }

  function parseWord(token: Token, depth: number): CesqlExpression {
    const keyword = keywordOf(token);
    if (keyword === 'TRUE' || keyword === 'FALSE') return { kind: 'literal', value: keyword === 'TRUE', at: token.at };
    if (keyword === 'EXISTS') return { kind: 'exists', name: attributeName(take()), at: token.at };
    if (peek().kind === 'symbol' && peek().text === '(' && keyword === undefined) return parseCall(token, depth);
    return { kind: 'attribute', name: attributeName(token), at: token.at };
  }

  function attributeName(token: Token): string {
    const isName = (token.kind === 'word' || token.kind === 'integer') && ATTRIBUTE.test(token.text);
    if (!isName || keywordOf(token) !== undefined) throw unexpected(token, 'expected the name of an attribute');
    const name = token.text.toLowerCase();
    if (name === 'data') warn('`data` is not an attribute: expressions do not see the data of an event', token.at);
    return name;
  }

  function parseCall(token: Token, depth: number): CesqlExpression {
    if (!FUNCTION.test(token.text)) throw unexpected(token, 'names of functions have letters and _ only');
    next++;
    const isEmpty = peek().kind === 'symbol' && peek().text === ')';
    if (isEmpty) next++;
    const args = isEmpty ? [] : parseList(depth);
    const name = token.text.toUpperCase();
    if (functions.find(name, args.length) === undefined) {
      warn(`There is no function ${functions.describe(name, args.length)}: evaluated, it is an error`, token.at);
    }
    return { kind: 'call', name, args, at: token.at };
  }

  function warnIfMixed(first: CesqlExpression, rest: readonly CesqlLink[]): void {
    const other = rest.find(({ operator }) => operator !== rest[0]?.operator);
    if (other === undefined) return;
    const printed = rest.length > MAX_SHOWN_LINKS ? undefined : printCesql(nestFromLeft(first, rest));
    const isShown = printed !== undefined && printed.length <= MAX_SHOWN_LENGTH;
    const reading = isShown ? `; this means ${printed}` : '';
    warn(`AND, OR and XOR bind equally, from left to right${reading}. Write the parentheses that you mean`, other.at);
  }

  function warnAboutNot({ at }: Token, operator: string): void {
    warn(`NOT binds tighter than ${operator}; to negate the whole, write NOT (…)`, at);
  }

  return { parseAll, warnings };
}

/** A chain of several operators as it is evaluated: what stands before the operator changes is one operand. */
function nestFromLeft(first: CesqlExpression, rest: readonly CesqlLink[]): CesqlExpression {
  let nested: CesqlExpression | undefined;
  let links: CesqlLink[] = [];
  for (const link of rest) {
    if (links.length > 0 && links[0]?.operator !== link.operator) {
      nested = { kind: 'chain', first: nested ?? first, rest: links, at: first.at };
      links = [];
    }
    links.push(link);
  }
  return { kind: 'chain', first: nested ?? first, rest: links, at: first.at };
}

function keywordOf({ kind, text }: Token): string | undefined {
  if (kind !== 'word') return undefined;
  const upper = text.toUpperCase();
  return KEYWORDS.has(upper) ? upper : undefined;
}

function operatorOf(token: Token): CesqlOperator | undefined {
  if (token.kind === 'word') {
    const keyword = keywordOf(token);
    return keyword === 'AND' || keyword === 'OR' || keyword === 'XOR' ? keyword : undefined;
  }
  if (token.kind !== 'symbol') return undefined;
  switch (token.text) {
    case '+':
    case '-':
    case '*':
    case '/':
    case '%':
      return token.text;
    default:
      return COMPARISONS[token.text];
  }
}

/** CQ-3: literals are 32 bits wide. */
function integerOf({ text, at }: Token, sign: 1 | -1): number {
  const magnitude = Number(text);
  if (magnitude > (sign === 1 ? MAX_MAGNITUDE - 1 : MAX_MAGNITUDE)) {
    throw new CesqlSyntaxError('An integer must be from -2147483648 to 2147483647', at);
  }
  return (sign * magnitude) | 0;
}

function unexpected(token: Token, expected: string): CesqlSyntaxError {
  const got = token.kind === 'end' ? 'The expression ends here' : `Unexpected ${describe(token)}`;
  return new CesqlSyntaxError(`${got}; ${expected}`, token.at);
}

function describe({ kind, text }: Token): string {
  if (kind === 'string') return 'string';
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}

function tooDeep(at: number): CesqlSyntaxError {
  return new CesqlSyntaxError(`The expression is nested too deeply; at most ${CESQL_MAX_DEPTH} levels are allowed`, at);
}
