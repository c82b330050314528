import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareDecimals, isJsonNumber, parseDecimal } from './decimal.ts';

function compared(a: string, b: string): number {
  return Math.sign(compareDecimals(parseDecimal(a), parseDecimal(b)));
}

describe('comparing numbers by all their digits', () => {
  test.each([
    ['0', '-0.000e5', 0],
    ['1', '1.0', 0],
    ['10', '1e1', 0],
    ['0.1', '1E-1', 0],
    ['100', '99.999', 1],
    ['-1', '1', -1],
    ['-2', '-1', -1],
    ['9007199254740993', '9007199254740992', 1],
    ['12345678901234567890', '12345678901234567891', -1],
    ['0.1', '0.1000000000000000055511151231257827', -1],
    ['1e-400', '0', 1],
    ['1e400', '1e401', -1],
    ['-1e400', '-1e401', 1],
    ['123', '1234', -1],
    ['0.012', '0.0119', 1],
  ])('%s to %s gives the sign of %i', (a, b, sign) => {
    expect(compared(a, b)).toBe(sign);
    expect(compared(b, a)).toBe(sign === 0 ? 0 : -sign);
  });

  test('agrees with floating point where that is exact', () => {
    const number = fc.oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }));
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(compared(String(a), String(b))).toBe(a < b ? -1 : a > b ? 1 : 0);
      }),
    );
  });

  test('knows the numbers of JSON', () => {
    expect(['0', '-1.5', '1e+5', '12345678901234567890'].map(isJsonNumber)).toEqual([true, true, true, true]);
    expect(['', '01', '+1', '1.', '.5', '0x1', 'NaN', '1 '].some(isJsonNumber)).toBe(false);
  });
});
