import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { DEFAULT_CIRCUIT_POLICY } from '#core/lane/circuit-policy';
import { parseSubscriptionBody } from './subscription-body.ts';

const minimal = { sink: 'https://example.com/e', protocol: 'HTTP' };

const read = (file: string): string => readFileSync(new URL(`../../../../docs/${file}`, import.meta.url), 'utf8');
const numberOf = (text: string): number => Number(text.replaceAll(' ', ''));

/** Cells of the rows that follow a heading row, up to the end of the table. */
function rowsBelow(markdown: string, heading: RegExp): string[][] {
  const lines = markdown.split('\n');
  const start = lines.findIndex((line) => heading.test(line)) + 2;
  const length = lines.slice(start).findIndex((line) => !line.startsWith('|'));
  return lines.slice(start, start + length).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe('docs/retries.md', () => {
  test('has examples that are valid and mean what they say', () => {
    const examples = [...read('retries.md').matchAll(/```json\n([\s\S]*?)```/g)].map(([, json = '']) => json);
    expect(examples).toHaveLength(1);
    for (const example of examples) {
      const asked = JSON.parse(example) as object;
      expect(parseSubscriptionBody({ ...minimal, ...asked })).toMatchObject({ ok: true, value: { spec: asked } });
    }
  });

  test('names in its table what a retry policy may have', () => {
    const members = rowsBelow(read('retries.md'), /^\| member +\| default/).map(([member = '']) => member.slice(1, -1));
    const parsed = parseSubscriptionBody({ ...minimal, config: { retry: { unknown: 1 } } });
    const known = parsed.ok ? '' : parsed.violations[0]?.detail;
    expect(known).toBe(`This member is not known; known: ${members.join(', ')}.`);
  });
});

describe('docs/subscriptions.md', () => {
  test('names in its table what a config may have', () => {
    const members = rowsBelow(read('subscriptions.md'), /^\| member +\| default/).map(([cell = '']) =>
      cell.slice(1, -1).replace(/\..*$/, ''),
    );
    const parsed = parseSubscriptionBody({ ...minimal, config: { unknown: 1 } });
    const known = parsed.ok ? '' : (parsed.violations[0]?.detail ?? '');
    const listed = known.replace(/^.*known: |\.$/g, '').split(', ');
    expect([...new Set(members)].sort()).toEqual([...listed].sort());
  });

  const circuitRows = rowsBelow(read('subscriptions.md'), /^\| `circuit\.…` +\| default +\| range/).map(
    ([member = '', byDefault = '', range = '']) => {
      const [min = '', max = ''] = range.split(' to ');
      return { member: member.slice(1, -1), byDefault: numberOf(byDefault), min: numberOf(min), max: numberOf(max) };
    },
  );

  test('has the defaults of a circuit', () => {
    expect(Object.fromEntries(circuitRows.map(({ member, byDefault }) => [member, byDefault]))).toEqual(
      DEFAULT_CIRCUIT_POLICY,
    );
  });

  test.each(circuitRows)('has the range of $member: $min to $max', ({ member, min, max }) => {
    const pointersWith = (value: number) => {
      // The longest wait must not be shorter than the first one.
      const circuit = { firstProbeSeconds: 1, longestProbeSeconds: 3600, [member]: value };
      const parsed = parseSubscriptionBody({ ...minimal, config: { circuit } });
      return parsed.ok ? [] : parsed.violations.map(({ pointer }) => pointer);
    };
    expect([...pointersWith(min), ...pointersWith(max)]).toEqual([]);
    const below = member === 'failureRatio' ? min - 0.001 : min - 1;
    const above = member === 'failureRatio' ? max + 0.001 : max + 1;
    expect([pointersWith(below), pointersWith(above)]).toEqual([
      [`/config/circuit/${member}`],
      [`/config/circuit/${member}`],
    ]);
  });
});
