import { attributeOf, type CloudEvent } from '../event/cloud-event.ts';
import type { Filter } from './filter.ts';

/** Answers whether an event passes. Total: never throws, whatever the event. */
export type EventPredicate = (event: CloudEvent) => boolean;

interface Test {
  readonly attribute: string;
  /** 0 `===`, 1 `startsWith`, 2 `endsWith`: cheapest first. */
  readonly cost: number;
  readonly passes: (text: string) => boolean;
}

/**
 * One closure for all filters of a subscription: they are a conjunction of pairs (SA-6, FD-2), so they flatten into one
 * list of tests, cheapest first. No filters: every event passes. A missing attribute fails its test.
 */
export function compileFilters(filters: readonly Filter[]): EventPredicate {
  const tests = filters.flatMap(testsOf).sort((a, b) => a.cost - b.cost);
  if (tests.length === 0) return () => true;
  return (event) => {
    for (const test of tests) {
      const text = attributeOf(event, test.attribute);
      if (text === undefined || !test.passes(text)) return false;
    }
    return true;
  };
}

function testsOf(filter: Filter): Test[] {
  if ('exact' in filter) return pairsOf(filter.exact, 0, (expected) => (text) => text === expected);
  if ('prefix' in filter) return pairsOf(filter.prefix, 1, (expected) => (text) => text.startsWith(expected));
  return pairsOf(filter.suffix, 2, (expected) => (text) => text.endsWith(expected));
}

function pairsOf(
  pairs: Readonly<Record<string, string>>,
  cost: number,
  compile: (expected: string) => (text: string) => boolean,
): Test[] {
  return Object.entries(pairs).map(([attribute, expected]) => ({ attribute, cost, passes: compile(expected) }));
}
