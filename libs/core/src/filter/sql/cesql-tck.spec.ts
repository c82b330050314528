import { readFileSync, readdirSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse as parseYaml } from 'yaml';
import { compileCesql } from './compile-cesql.ts';
import type { CesqlValue } from './expression.ts';
import { parseCesql } from './parse-cesql.ts';

interface TckCase {
  readonly name: string;
  readonly expression: unknown;
  readonly result?: CesqlValue;
  readonly error?: string;
  readonly event?: Readonly<Record<string, CesqlValue>>;
  readonly eventOverrides?: Readonly<Record<string, CesqlValue>>;
}

const folder = new URL('../../../../../test/vectors/cesql_tck/', import.meta.url);
const suites = readdirSync(folder)
  .filter((file) => file.endsWith('.yaml'))
  .map((file) => ({
    file,
    cases: (parseYaml(readFileSync(new URL(file, folder), 'utf8')) as { tests: readonly TckCase[] }).tests,
  }));

const ANY_EVENT = { specversion: '1.0', id: 'id', source: 'localhost.localdomain', type: 'type' };

/**
 * The only case that the specification contradicts: 3.7 says that every Integer casts to Boolean, so `NOT 10` is false
 * without an error. The Go and Java SDKs agree with the specification, too (D4).
 */
const STALE = { file: 'not_operator.yaml', expression: 'NOT 10', value: false, errors: [] };

const isStale = (file: string, { expression }: TckCase): boolean =>
  file === STALE.file && expression === STALE.expression;

function run({ expression, event, eventOverrides }: TckCase): { value?: CesqlValue; errors: string[] } {
  // Nine expressions are not strings in YAML: TRUE, 0, -10, ….
  const parsed = parseCesql(typeof expression === 'string' ? expression : String(expression));
  if (!parsed.ok) return { value: false, errors: [parsed.error.kind] };
  const attributes = new Map(Object.entries(event ?? { ...ANY_EVENT, ...eventOverrides }));
  const { value, errors } = compileCesql(parsed.expression).evaluate(attributes);
  return { value, errors: errors.map(({ kind }) => kind) };
}

describe('the CloudEvents SQL conformance kit (CQ-1 … CQ-12)', () => {
  test('has 275 cases, of which one is stale', () => {
    const all = suites.flatMap(({ file, cases }) => cases.map((each) => ({ file, each })));
    expect(all).toHaveLength(275);
    expect(all.filter(({ file, each }) => isStale(file, each))).toHaveLength(1);
  });

  test('contradicts its specification in one case, where we follow the specification (D4)', () => {
    expect(run({ name: '', expression: STALE.expression })).toEqual({ value: STALE.value, errors: STALE.errors });
  });

  describe.each(suites)('$file', ({ file, cases }) => {
    test.each(cases.filter((each) => !isStale(file, each)))('agrees on $expression: $name', (each) => {
      const { value, errors } = run(each);
      expect(errors).toEqual(each.error === undefined ? [] : [each.error]);
      if (each.result !== undefined) expect(value).toBe(each.result);
    });
  });
});
