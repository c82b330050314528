import { describe, expect, test } from '@jest/globals';
import { isCallbackCode, judgeCallback } from './callback-code.ts';

describe('a callback with the right code (WH-15)', () => {
  test.each(['requested', 'pending', 'denied', 'unsupported'] as const)(
    'grants while the validation is %s',
    (status) => {
      expect(judgeCallback({ status, deadlineAtMs: 10 }, 9)).toBe('grants');
    },
  );

  test('grants nothing from the deadline on (WH-16)', () => {
    expect(judgeCallback({ status: 'pending', deadlineAtMs: 10 }, 10)).toBe('refused');
    expect(judgeCallback({ status: 'pending' }, 0)).toBe('refused');
  });

  test('is answered alike for ever once it was used', () => {
    expect(judgeCallback({ status: 'granted', deadlineAtMs: 10 }, 1_000_000)).toBe('granted_before');
  });

  test('has no use where nothing is asked', () => {
    expect(judgeCallback({ status: 'none', deadlineAtMs: 10 }, 0)).toBe('refused');
  });
});

test.each([
  ['a'.repeat(32), true],
  ['A-_9'.repeat(8), true],
  ['a'.repeat(31), false],
  ['a'.repeat(33), false],
  [`${'a'.repeat(31)}=`, false],
  ['', false],
])('the text %j is shaped like a code: %p', (text, expected) => {
  expect(isCallbackCode(text)).toBe(expected);
});
