import { describe, expect, test } from '@jest/globals';
import { fileEntry, makeRoot } from './bucket.ts';
import type { Clause } from './clauses.ts';

function anyOf(attribute: string, count: number): Clause {
  return Array.from({ length: count }, (_, i) => ({ attribute, operator: 'exact', value: `${i}` }));
}

/** Places of the last of so many entries that ask for the same. */
function placesOfLast(entryCount: number, clauses: readonly Clause[]): number {
  const root = makeRoot<number>();
  let places = 0;
  for (let entry = 0; entry < entryCount; entry++) {
    places = 0;
    fileEntry(root, entry, clauses, () => places++);
  }
  return places;
}

describe('places of a subscription', () => {
  test('are as many as its list has values, where others ask for the same', () => {
    expect(placesOfLast(30, [anyOf('type', 1000)])).toBe(1000);
    expect(placesOfLast(30, [anyOf('type', 30), anyOf('source', 30)])).toBe(900);
  });

  test('are never more than 1,000, however many lists it has', () => {
    expect(placesOfLast(30, [anyOf('type', 1000), anyOf('source', 1000)])).toBe(1000);
    expect(placesOfLast(60, [anyOf('type', 100), anyOf('source', 100), anyOf('subject', 100)])).toBe(100);
  });
});
