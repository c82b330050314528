import type { AttributePairs, Filter } from '../filter/filter.ts';
import type { CesqlExpression } from '../filter/sql/expression.ts';
import { parseCesql } from '../filter/sql/parse-cesql.ts';
import type { SubscriptionSpec } from '../registry/subscription.ts';

/** Types of the events that Posthaste itself publishes, among the events of the tenant that they concern. */
export const OPERATIONAL_TYPE_PREFIX = 'io.posthaste.';

export function isOperationalType(type: string): boolean {
  return type.startsWith(OPERATIONAL_TYPE_PREFIX);
}

/** Why a producer's event of such a type is refused (as a CloudEvents violation without its place). */
export function reservedType(type: string): { readonly rule: 'reserved-type'; readonly detail: string } {
  const shown = type.length <= 100 ? type : `${type.slice(0, 99)}…`;
  const detail = `Types that start with "${OPERATIONAL_TYPE_PREFIX}" are those of Posthaste's own events; "${shown}" can not be published. Give the event a type under a domain of yours, such as com.example.order.placed.`;
  return { rule: 'reserved-type', detail };
}

/**
 * Whether a subscription asks for operational events: an entry of `types`, or a literal that a filter compares with,
 * starts with {@link OPERATIONAL_TYPE_PREFIX}. Who asks for everything means its producers' events, and would get one
 * about each of its own troubles. What a filter excludes (`not`, `!=`, `NOT IN`, `NOT LIKE`) is not asked for.
 *
 * It says whether such an event may be handed over at all; `types`, `source` and `filters` still have to match.
 */
export function asksForOperationalEvents({ types, filters }: Pick<SubscriptionSpec, 'types' | 'filters'>): boolean {
  return (types ?? []).some(isOperationalType) || filters.some(isAskedForBy);
}

function isAskedForBy(filter: Filter): boolean {
  if ('exact' in filter) return isNamedIn(filter.exact);
  if ('prefix' in filter) return isNamedIn(filter.prefix);
  if ('all' in filter) return filter.all.some(isAskedForBy);
  if ('any' in filter) return filter.any.some(isAskedForBy);
  return 'sql' in filter && isAskedForBySql(filter.sql);
}

function isNamedIn({ type }: AttributePairs): boolean {
  return type !== undefined && isOperationalType(type);
}

function isAskedForBySql(text: string): boolean {
  if (!text.includes(OPERATIONAL_TYPE_PREFIX)) return false;
  const parsed = parseCesql(text);
  return parsed.ok && isNamedBy(parsed.expression);
}

function isNamedBy(expression: CesqlExpression): boolean {
  switch (expression.kind) {
    case 'literal':
      return typeof expression.value === 'string' && isOperationalType(expression.value);
    case 'like':
      return !expression.negated && (isOperationalType(expression.pattern) || isNamedBy(expression.operand));
    case 'in':
      return !expression.negated && expression.set.some(isNamedBy);
    case 'call':
      return expression.args.some(isNamedBy);
    case 'chain':
      return (
        isNamedBy(expression.first) || expression.rest.some((link) => link.operator !== '!=' && isNamedBy(link.operand))
      );
    case 'attribute':
    case 'exists':
    case 'not':
    case 'negate':
      return false;
  }
}
