import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { CloudEvent } from './cloud-event.ts';
import { ATTRIBUTES_MAX_BYTES, eventSizeViolation } from './event-size.ts';

/** An event whose attributes have 28 bytes and those of `value`. */
function withValue(value: string, dataBytes = 0): CloudEvent {
  return {
    attributes: new Map([
      ['specversion', '1.0'],
      ['id', 'e'],
      ['source', '/'],
      ['type', 't'],
      ['x', value],
    ]),
    ...(dataBytes === 0 ? {} : { data: { bytes: new Uint8Array(dataBytes), form: 'bytes' as const } }),
  };
}
const OTHERS_BYTES = 'specversion1.0ide source/typetx'.replace(' ', '').length;

const tellsTooLarge = (event: CloudEvent, maxEventBytes: number): boolean =>
  eventSizeViolation(event, { maxEventBytes }) !== undefined;

describe('the size of an event', () => {
  test('it is that of attributes and data together (CE-12)', () => {
    const event = withValue('', 1000);
    expect(tellsTooLarge(event, OTHERS_BYTES + 1000)).toBe(false);
    expect(eventSizeViolation(event, { maxEventBytes: OTHERS_BYTES + 999, pointer: '/3' })).toMatchObject({
      rule: 'CE-12',
      pointer: '/3',
      detail: expect.stringContaining(`${OTHERS_BYTES + 1000} bytes`),
    });
  });

  test('it counts attributes in bytes of UTF-8', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((c) => String.fromCharCode(c)) }),
        (value) => {
          const size = OTHERS_BYTES + new TextEncoder().encode(value).length;
          expect([tellsTooLarge(withValue(value), size), tellsTooLarge(withValue(value), size - 1)]).toEqual([
            false,
            true,
          ]);
        },
      ),
    );
    expect(tellsTooLarge(withValue('ä€😀'), OTHERS_BYTES + 9)).toBe(false);
    expect(tellsTooLarge(withValue('ä€😀'), OTHERS_BYTES + 8)).toBe(true);
  });

  test('attributes have a limit of their own, because facts repeat them', () => {
    const fits = 'x'.repeat(ATTRIBUTES_MAX_BYTES - OTHERS_BYTES);
    expect(tellsTooLarge(withValue(fits, 100), 8_000_000)).toBe(false);
    expect(eventSizeViolation(withValue(`${fits}x`), { maxEventBytes: 8_000_000 })?.detail).toContain('attributes');
  });
});
