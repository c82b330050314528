import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  deleteAffix,
  findAffix,
  isEmptyTree,
  makeAffixTree,
  setAffix,
  visitAffixes,
  type AffixEnd,
  type AffixTree,
} from './affix-tree.ts';

const ENDS: readonly AffixEnd[] = ['prefix', 'suffix'];

function visited(tree: AffixTree<string>, end: AffixEnd, text: string): string[] {
  const found: string[] = [];
  visitAffixes(tree, end, text, (value) => found.push(value));
  return found;
}

const nodeCount = (tree: AffixTree<unknown>): number =>
  [...(tree.children?.values() ?? [])].reduce((sum, child) => sum + nodeCount(child), 1);

describe('an affix tree', () => {
  test('finds all prefixes of a text, shortest first', () => {
    const tree = makeAffixTree<string>();
    for (const prefix of ['com.', 'com.a', 'com.ab', 'org.', 'com.b']) setAffix(tree, 'prefix', prefix, prefix);
    expect(visited(tree, 'prefix', 'com.abc')).toEqual(['com.', 'com.a', 'com.ab']);
    expect(visited(tree, 'prefix', 'co')).toEqual([]);
  });

  test('finds all suffixes of a text, shortest first', () => {
    const tree = makeAffixTree<string>();
    for (const suffix of ['.ca', 'b.ca', 'a.ca', '.com']) setAffix(tree, 'suffix', suffix, suffix);
    expect(visited(tree, 'suffix', 'ab.ca')).toEqual(['.ca', 'b.ca']);
  });

  test.each(ENDS)('answers for every %s as a list would, after any changes, and keeps no node in vain', (end) => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '😀'), minLength: 1, maxLength: 5 });
    const change = fc.record({ affix: text, isSet: fc.boolean() });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), fc.array(text), (changes, texts) => {
        const tree = makeAffixTree<string>();
        const all = new Set<string>();
        for (const { affix, isSet } of changes) {
          if (isSet) setAffix(tree, end, affix, affix);
          else deleteAffix(tree, end, affix);
          if (isSet) all.add(affix);
          else all.delete(affix);
        }
        const has = (each: string, affix: string) => (end === 'prefix' ? each.startsWith(affix) : each.endsWith(affix));
        for (const each of texts) {
          const expected = [...all].filter((affix) => has(each, affix)).sort((a, b) => a.length - b.length);
          expect(visited(tree, end, each)).toEqual(expected);
          expect(findAffix(tree, end, each)).toBe(all.has(each) ? each : undefined);
        }
        expect(isEmptyTree(tree)).toBe(all.size === 0);
        expect(nodeCount(tree)).toBeLessThanOrEqual(Math.max(1, 2 * all.size));
      }),
      { numRuns: 500 },
    );
  });
});
