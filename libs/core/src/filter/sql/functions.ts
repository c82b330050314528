import { codePointCount, sliceCodePoints, trimWhiteSpace } from './code-points.ts';
import type { CesqlType, CesqlValue } from './expression.ts';

/** What a function gives in case of an error: the value that stands for it all the same, and what went wrong. */
export interface CesqlFunctionFailure {
  readonly kind: 'math' | 'functionEvaluation';
  readonly value: CesqlValue;
  readonly detail: string;
}

/** A function as expressions can call it. Arguments are cast before it is called, so it sees only its declared types. */
export interface CesqlFunction {
  /** Letters and `_`; letter case has no meaning. */
  readonly name: string;
  readonly parameters: readonly CesqlType[];
  /** Type of any number of further arguments. */
  readonly variadic?: CesqlType;
  readonly returns: CesqlType;
  /** Must be pure. An exception, or a value of another type, is a FunctionEvaluationError with the zero value. */
  call(args: readonly CesqlValue[]): CesqlValue | CesqlFunctionFailure;
}

/** Functions by name and number of arguments. */
export interface CesqlFunctions {
  /** @param name in upper case */
  find(name: string, argumentCount: number): CesqlFunction | undefined;
  /** What was looked for and what there is instead, for a message. */
  describe(name: string, argumentCount: number): string;
}

/** Two functions that a call could not tell apart (CESQL 3.5). */
export class CesqlFunctionConflict extends Error {
  readonly code = 'cesql.function_conflict';
}

const MAX_INTEGER = 2_147_483_647;
const MIN_INTEGER = -2_147_483_648;

const STRING_FUNCTIONS: readonly CesqlFunction[] = [
  define('LENGTH', ['String'], 'Integer', ([text]) => codePointCount(text as string)),
  { ...define('CONCAT', [], 'String', (texts) => texts.join('')), variadic: 'String' },
  {
    ...define('CONCAT_WS', ['String'], 'String', ([delimiter, ...texts]) => texts.join(delimiter as string)),
    variadic: 'String',
  },
  define('LOWER', ['String'], 'String', ([text]) => (text as string).toLowerCase()),
  define('UPPER', ['String'], 'String', ([text]) => (text as string).toUpperCase()),
  define('TRIM', ['String'], 'String', ([text]) => trimWhiteSpace(text as string)),
  define('LEFT', ['String', 'Integer'], 'String', ([text, count]) => left(text as string, count as number)),
  define('RIGHT', ['String', 'Integer'], 'String', ([text, count]) => right(text as string, count as number)),
  define('SUBSTRING', ['String', 'Integer'], 'String', ([text, position]) =>
    substring(text as string, position as number, MAX_INTEGER),
  ),
  define('SUBSTRING', ['String', 'Integer', 'Integer'], 'String', ([text, position, length]) =>
    substring(text as string, position as number, length as number),
  ),
];

const OTHER_FUNCTIONS: readonly CesqlFunction[] = [
  define('ABS', ['Integer'], 'Integer', ([x]) => abs(x as number)),
  define('INT', ['Integer'], 'Integer', ([x]) => x as number),
  define('BOOL', ['Boolean'], 'Boolean', ([x]) => x as boolean),
  define('STRING', ['String'], 'String', ([x]) => x as string),
];

/** Every function of CESQL v1 (CQ-10). The casts are identities: the cast of their argument does the work. */
export const BUILT_IN_FUNCTIONS: CesqlFunctions = makeCesqlFunctions();

/**
 * The functions of CESQL v1 and own ones beside them.
 *
 * @throws CesqlFunctionConflict when name and arity of two are the same, or a variadic one takes the place of another
 */
export function makeCesqlFunctions(own: readonly CesqlFunction[] = []): CesqlFunctions {
  const fixed = new Map<string, CesqlFunction>();
  const variadic = new Map<string, CesqlFunction>();
  const all = [...STRING_FUNCTIONS, ...OTHER_FUNCTIONS, ...own];
  for (const each of all) add(each, fixed, variadic);
  for (const each of variadic.values()) refuseOverlap(each, all);

  return {
    find(name, argumentCount) {
      const exact = fixed.get(`${name}/${argumentCount}`);
      if (exact !== undefined) return exact;
      const open = variadic.get(name);
      return open !== undefined && argumentCount >= open.parameters.length ? open : undefined;
    },
    describe(name, argumentCount) {
      const overloads = all.filter((each) => each.name.toUpperCase() === name).map(signatureOf);
      const known = overloads.length > 0 ? overloads : [...new Set(all.map((each) => each.name.toUpperCase()))];
      return `${name} with ${argumentCount} argument${argumentCount === 1 ? '' : 's'} (known: ${known.join(', ')})`;
    },
  };
}

function add(each: CesqlFunction, fixed: Map<string, CesqlFunction>, variadic: Map<string, CesqlFunction>): void {
  const name = each.name.toUpperCase();
  const place = each.variadic === undefined ? fixed : variadic;
  const key = each.variadic === undefined ? `${name}/${each.parameters.length}` : name;
  if (place.has(key)) throw new CesqlFunctionConflict(`there are two functions ${signatureOf(each)}`);
  place.set(key, each);
}

/** A variadic function must have more fixed parameters than any other of its name. */
function refuseOverlap(open: CesqlFunction, all: readonly CesqlFunction[]): void {
  const name = open.name.toUpperCase();
  const other = all.find(
    (each) => each !== open && each.name.toUpperCase() === name && each.parameters.length >= open.parameters.length,
  );
  if (other === undefined) return;
  throw new CesqlFunctionConflict(`${signatureOf(open)} cannot be told from ${signatureOf(other)}`);
}

function signatureOf({ name, parameters, variadic }: CesqlFunction): string {
  const types = [...parameters, ...(variadic === undefined ? [] : [`${variadic}…`])];
  return `${name.toUpperCase()}(${types.join(', ')})`;
}

function define(
  name: string,
  parameters: readonly CesqlType[],
  returns: CesqlType,
  call: CesqlFunction['call'],
): CesqlFunction {
  return { name, parameters, returns, call };
}

function failure(value: CesqlValue, detail: string): CesqlFunctionFailure {
  return { kind: 'functionEvaluation', value, detail };
}

function abs(x: number): CesqlValue | CesqlFunctionFailure {
  if (x !== MIN_INTEGER) return Math.abs(x);
  return { kind: 'math', value: MAX_INTEGER, detail: 'The absolute value of -2147483648 is not an integer of 32 bits' };
}

function left(text: string, count: number): CesqlValue | CesqlFunctionFailure {
  return count < 0 ? failure(text, 'LEFT with a negative count') : sliceCodePoints(text, 0, count);
}

function right(text: string, count: number): CesqlValue | CesqlFunctionFailure {
  if (count < 0) return failure(text, 'RIGHT with a negative count');
  const length = codePointCount(text);
  return count >= length ? text : sliceCodePoints(text, length - count, length);
}

/** Positions count from 1, negative ones from the end; 0 is nowhere. */
function substring(text: string, position: number, length: number): CesqlValue | CesqlFunctionFailure {
  if (length < 0) return failure('', 'SUBSTRING with a negative length');
  if (position === 0) return '';
  const characters = codePointCount(text);
  if (Math.abs(position) > characters) return failure('', `SUBSTRING from ${position} of ${characters} characters`);
  const from = position > 0 ? position - 1 : characters + position;
  return sliceCodePoints(text, from, Math.min(characters, from + length));
}
