import { describe, expect, test } from '@jest/globals';
import { childTraceparent } from './trace-context.ts';

const hex = (n: number): string => 'ab'.repeat(n);

describe('the traceparent of a notification', () => {
  test('it goes on with the trace of its parent under a span of its own', () => {
    const parent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    expect(childTraceparent(parent, hex)).toBe(`00-4bf92f3577b34da6a3ce929d0e0e4736-${hex(8)}-01`);
  });

  test.each([undefined, '', 'not a trace', '00-short-00f067aa0ba902b7-01'])(
    'it begins a trace when the parent is %p',
    (parent) => {
      expect(childTraceparent(parent, hex)).toBe(`00-${hex(16)}-${hex(8)}-00`);
    },
  );
});
