import { describe, expect, test } from '@jest/globals';
import type { AttributeValue } from '../event/cloud-event.ts';
import { expiresAtOf } from './event-expiry.ts';

const expiryOf = (expirytime?: AttributeValue) =>
  expiresAtOf({ attributes: new Map(expirytime === undefined ? [] : [['expirytime', expirytime]]) });

describe('the expiry of an event', () => {
  test('is the instant of its expirytime, in any offset (CloudEvents expirytime)', () => {
    expect(expiryOf('2026-11-22T12:00:00Z')).toBe(Date.UTC(2026, 10, 22, 12));
    expect(expiryOf('2026-11-22T13:00:00.250+01:00')).toBe(Date.UTC(2026, 10, 22, 12) + 250);
  });

  test.each([undefined, '', 'tomorrow', '2026-11-22', 1_700_000_000, true])('is none with %p', (expirytime) => {
    expect(expiryOf(expirytime)).toBeUndefined();
  });
});
