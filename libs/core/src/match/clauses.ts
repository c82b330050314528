import { compileFilters } from '../filter/compile-filters.ts';
import { textOf, type EventView } from '../filter/event-view.ts';
import type { AttributePairs, Filter } from '../filter/filter.ts';
import { likePrefix, likeSuffix } from '../filter/sql/like.ts';
import {
  levelOfChain,
  type CesqlChain,
  type CesqlExpression,
  type CesqlLike,
  type CesqlLink,
} from '../filter/sql/expression.ts';
import { parseCesql } from '../filter/sql/parse-cesql.ts';
import type { SubscriptionSpec } from '../registry/subscription.ts';

export type LiteralOperator = 'exact' | 'prefix' | 'suffix';

/** A comparison of an attribute's canonical string; false when the event does not have the attribute. */
export interface Literal {
  readonly attribute: string;
  readonly operator: LiteralOperator;
  readonly value: string;
}

/** Literals of which at least one must hold. Never empty. */
export type Clause = readonly Literal[];

/** What a subscription asks of an event, taken apart: it matches when every clause holds and the residue passes. */
export interface Interest {
  readonly clauses: readonly Clause[];
  /** What clauses cannot express. */
  readonly residue?: (view: EventView) => boolean;
}

/** A filter implies its clauses; the other way round only when they are all that it says. */
interface Implied {
  readonly clauses: readonly Clause[];
  readonly isAll: boolean;
}

/** A clause with more literals is no use to the index: it would make an entry for each. */
const CLAUSE_MAX_LITERALS = 1000;

const NOTHING: Implied = { clauses: [], isAll: false };

/** `types` (SA-4), `source` (SA-3) and `filters` (SA-6) as clauses that an index can look up, and the rest. */
export function interestOf({
  types,
  source,
  filters,
}: Pick<SubscriptionSpec, 'types' | 'source' | 'filters'>): Interest {
  const implied = filters.map(impliedBy);
  const clauses = [
    ...(types === undefined ? [] : [[...new Set(types)].map((value) => literal('type', 'exact', value))]),
    ...(source === undefined ? [] : [[literal('source', 'exact', source)]]),
    ...implied.flatMap((each) => each.clauses),
  ];
  const others = filters.filter((_, i) => implied[i]?.isAll !== true);
  return others.length === 0 ? { clauses } : { clauses, residue: compileFilters(others).passes };
}

/** True when one of the literals holds for the event. */
export function holds(clause: Clause, view: EventView): boolean {
  for (const { attribute, operator, value } of clause) {
    const text = textOf(view, attribute);
    if (text === undefined) continue;
    if (operator === 'exact' ? text === value : operator === 'prefix' ? text.startsWith(value) : text.endsWith(value)) {
      return true;
    }
  }
  return false;
}

function literal(attribute: string, operator: LiteralOperator, value: string): Literal {
  return { attribute, operator, value };
}

function impliedBy(filter: Filter): Implied {
  if ('exact' in filter) return pairs(filter.exact, 'exact');
  if ('prefix' in filter) return pairs(filter.prefix, 'prefix');
  if ('suffix' in filter) return pairs(filter.suffix, 'suffix');
  if ('all' in filter) return conjunction(filter.all.map(impliedBy));
  if ('any' in filter) return disjunction(filter.any.map(impliedBy));
  return 'sql' in filter ? impliedBySql(filter.sql) : NOTHING;
}

function pairs(attributes: AttributePairs, operator: LiteralOperator): Implied {
  const clauses = Object.entries(attributes).map(([name, value]) => [literal(name, operator, value)]);
  return { clauses, isAll: true };
}

function conjunction(parts: readonly Implied[]): Implied {
  return { clauses: parts.flatMap(({ clauses }) => clauses), isAll: parts.every(({ isAll }) => isAll) };
}

/** One clause, if every branch has one to give: of `(a AND b) OR c` follows `a OR c`. */
function disjunction(branches: readonly Implied[]): Implied {
  const chosen = branches.map(({ clauses }) => mostSelective(clauses));
  const literals = chosen.flatMap((clause) => clause ?? []);
  if (chosen.includes(undefined) || literals.length > CLAUSE_MAX_LITERALS) return NOTHING;
  return { clauses: [literals], isAll: branches.every(({ clauses, isAll }) => isAll && clauses.length === 1) };
}

function mostSelective(clauses: readonly Clause[]): Clause | undefined {
  return clauses.toSorted((a, b) => vagueness(a) - vagueness(b))[0];
}

function vagueness(clause: Clause): number {
  return clause.length + clause.filter(({ operator }) => operator !== 'exact').length;
}

function impliedBySql(text: string): Implied {
  const parsed = parseCesql(text);
  return parsed.ok ? { ...impliedByExpression(parsed.expression), isAll: false } : NOTHING;
}

/** What must hold for an expression to be true. Errors are no concern: with one, nothing passes. */
function impliedByExpression(expression: CesqlExpression): Implied {
  if (expression.kind === 'like') return impliedByLike(expression);
  if (expression.kind !== 'chain') return NOTHING;
  if (levelOfChain(expression) === 0) return impliedByLogic(expression);
  const [link] = expression.rest;
  return link !== undefined && expression.rest.length === 1 ? impliedByComparison(expression.first, link) : NOTHING;
}

/** From left to right, as it is evaluated; neighbours with the same operator at once. */
function impliedByLogic({ first, rest }: CesqlChain): Implied {
  let implied = impliedByExpression(first);
  for (let from = 0; from < rest.length;) {
    const operator = rest[from]?.operator;
    let to = from + 1;
    while (rest[to]?.operator === operator) to++;
    const operands = [implied, ...rest.slice(from, to).map(({ operand }) => impliedByExpression(operand))];
    implied = operator === 'AND' ? conjunction(operands) : operator === 'OR' ? disjunction(operands) : NOTHING;
    from = to;
  }
  return implied;
}

/** The right operand decides the type: with a String there, the attribute is compared as its canonical string. */
function impliedByComparison(left: CesqlExpression, { operator, operand }: CesqlLink): Implied {
  if (operator !== '=' || left.kind !== 'attribute' || operand.kind !== 'literal') return NOTHING;
  return typeof operand.value === 'string' ? one(literal(left.name, 'exact', operand.value)) : NOTHING;
}

function impliedByLike({ operand, negated, pattern }: CesqlLike): Implied {
  if (negated || operand.kind !== 'attribute') return NOTHING;
  const { text, isAll } = likePrefix(pattern);
  if (isAll) return one(literal(operand.name, 'exact', text));
  const suffix = likeSuffix(pattern);
  const prefixes = text === '' ? [] : [[literal(operand.name, 'prefix', text)]];
  const suffixes = suffix === '' ? [] : [[literal(operand.name, 'suffix', suffix)]];
  return { clauses: [...prefixes, ...suffixes], isAll: false };
}

function one(each: Literal): Implied {
  return { clauses: [[each]], isAll: false };
}
