import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { AttributeValue } from '../event/cloud-event.ts';
import { explainFilters } from './explain-filters.ts';
import { parseFilters } from './parse-filters.ts';

const guide = readFileSync(new URL('../../../../docs/filters.md', import.meta.url), 'utf8');

const textsOf = (pattern: RegExp): string[][] => Array.from(guide.matchAll(pattern), (match) => match.slice(1));

function matchOf(filters: unknown, attributes: Readonly<Record<string, AttributeValue>>): boolean {
  const parsed = parseFilters(filters);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.violations));
  return explainFilters(parsed.filters, { attributes: new Map(Object.entries(attributes)) }).match;
}

describe('docs/filters.md', () => {
  const examples = textsOf(/```json filters\n(.*?)```/gs).map(([text = '']) => text);
  const rows = textsOf(/^\| `(\{.*?\})` +\| (?:\*\*)?(yes|no)(?:\*\*)? /gm);

  test('has examples', () => expect([examples.length, rows.length]).toEqual([6, 7]));

  test.each(examples)('shows filters that are valid: %s', (text) => {
    expect(parseFilters(JSON.parse(text))).toMatchObject({ ok: true });
  });

  test.each(rows)('says what %s does where the attribute is missing: %s (D13)', (filter, passes) => {
    expect(matchOf([JSON.parse(filter)], { type: 'a' })).toBe(passes === 'yes');
  });

  test('shows a trace as it is', () => {
    const [request = ''] = textsOf(/```http\nPOST \/v1\/filters\/test.*?\n\n(.*?)```/gs)[0] ?? [];
    const [answer = ''] = textsOf(/```json\n(.*?)```/gs)[0] ?? [];
    const { filters, event } = JSON.parse(request) as { filters: []; event: Record<string, AttributeValue> };
    const attributes = new Map(Object.entries(event));
    expect(explainFilters(filters, { attributes })).toEqual(JSON.parse(answer));
  });
});
