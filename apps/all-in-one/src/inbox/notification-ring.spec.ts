import { describe, expect, test } from '@jest/globals';
import { makeNotificationRing, type InboxNotification } from './notification-ring.ts';

function aNotification(overrides: Partial<InboxNotification> = {}): Omit<InboxNotification, 'seq'> {
  return {
    receivedAtMs: 0,
    headers: [],
    body: new Uint8Array(),
    verification: { ok: true },
    attempt: 1,
    isDuplicate: false,
    answeredStatus: 204,
    ...overrides,
  };
}

const LIMITS = { perInboxCount: 3, inboxCount: 2, totalBytes: 1_000_000 };

describe('the notification ring', () => {
  test('keeps the last ones and lists them newest first, page by page', () => {
    const ring = makeNotificationRing(LIMITS);
    for (let i = 0; i < 5; i++) ring.add('a', aNotification());
    const seqs = (beforeSeq?: number) =>
      ring.list('a', { limit: 2, ...(beforeSeq === undefined ? {} : { beforeSeq }) }).map(({ seq }) => seq);
    expect(seqs()).toEqual([5, 4]);
    expect(seqs(4)).toEqual([3]);
    expect(ring.list('unknown', { limit: 2 })).toEqual([]);
  });

  test('forgets the inbox that was posted to longest ago when there are too many', () => {
    const ring = makeNotificationRing(LIMITS);
    for (const name of ['a', 'b', 'a', 'c']) ring.add(name, aNotification());
    expect(['a', 'b', 'c'].map((name) => ring.list(name, { limit: 9 }).length)).toEqual([2, 0, 1]);
  });

  test('drops the oldest of all inboxes when the bodies get too large', () => {
    const ring = makeNotificationRing({ ...LIMITS, totalBytes: 25_000 });
    for (const name of ['a', 'b', 'b']) ring.add(name, aNotification({ body: new Uint8Array(10_000) }));
    expect(['a', 'b'].map((name) => ring.list(name, { limit: 9 }).length)).toEqual([0, 2]);
  });

  test('remembers of each webhook-id how often it came and whether it was accepted', () => {
    const ring = makeNotificationRing(LIMITS);
    const messageId = 'dlv_1';
    expect(ring.history('a', messageId)).toEqual({ attemptCount: 0, isAccepted: false });
    ring.add('a', aNotification({ messageId, attempt: 1, answeredStatus: 500 }));
    expect(ring.history('a', messageId)).toEqual({ attemptCount: 1, isAccepted: false });
    ring.add('a', aNotification({ messageId, attempt: 2 }));
    expect(ring.history('a', messageId)).toEqual({ attemptCount: 2, isAccepted: true });
    expect(ring.history('b', messageId).attemptCount).toBe(0);
  });
});
