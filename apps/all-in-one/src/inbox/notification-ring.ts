import type { VerificationFailure } from '#receiver/verify';

/** A notification as an inbox keeps it. */
export interface InboxNotification {
  /** Grows over all inboxes of the process; the cursor of the list. */
  readonly seq: number;
  readonly receivedAtMs: number;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly verification: { readonly ok: true } | VerificationFailure;
  /** Attributes of the event that it carries; absent when it carries none. */
  readonly event?: Readonly<Record<string, string>>;
  /** Why it carries none. */
  readonly notAnEvent?: string;
  /** `webhook-id`: the same for all attempts of one delivery. */
  readonly messageId?: string;
  /** The how manieth request with this `webhook-id` it is, from 1. */
  readonly attempt: number;
  /** True when an earlier request with this `webhook-id` was already answered with 2xx. */
  readonly isDuplicate: boolean;
  /** The status that the inbox answered with. */
  readonly answeredStatus: number;
}

/** What is known of one `webhook-id`. */
export interface MessageHistory {
  readonly attemptCount: number;
  readonly isAccepted: boolean;
}

export interface NotificationRing {
  /** What came before with this `webhook-id`. */
  history(inbox: string, messageId: string): MessageHistory;
  add(inbox: string, notification: Omit<InboxNotification, 'seq'>): InboxNotification;
  /** Newest first, those with a lower seq than `beforeSeq`. */
  list(inbox: string, options: { limit: number; beforeSeq?: number }): InboxNotification[];
}

export interface RingLimits {
  readonly perInboxCount: number;
  readonly inboxCount: number;
  /** Bodies and headers of all inboxes together. */
  readonly totalBytes: number;
}

/** Bounded in every direction: anybody who reaches the port may post. */
const DEFAULT_LIMITS: RingLimits = { perInboxCount: 1000, inboxCount: 100, totalBytes: 64 * 1024 * 1024 };

const HISTORY_PER_INBOX_COUNT = 10_000;
const NO_HISTORY: MessageHistory = { attemptCount: 0, isAccepted: false };

interface Inbox {
  readonly notifications: InboxNotification[];
  readonly histories: Map<string, MessageHistory>;
}

/** The last notifications of every inbox, in memory: gone with the process. */
export function makeNotificationRing(limits: RingLimits = DEFAULT_LIMITS): NotificationRing {
  const inboxes = new Map<string, Inbox>();
  let lastSeq = 0;
  let heldBytes = 0;

  const dropOldest = (inbox: Inbox): void => {
    const dropped = inbox.notifications.shift();
    if (dropped !== undefined) heldBytes -= sizeBytes(dropped);
  };

  const makeRoom = (): void => {
    while (heldBytes > limits.totalBytes) {
      const filled = [...inboxes.values()].filter(({ notifications }) => notifications.length > 0);
      dropOldest(filled.reduce((a, b) => (headSeq(a) <= headSeq(b) ? a : b)));
    }
  };

  /** Moves it to the end: the first of the map is the one that was posted to longest ago. */
  const touch = (name: string): Inbox => {
    const inbox = inboxes.get(name) ?? { notifications: [], histories: new Map<string, MessageHistory>() };
    inboxes.delete(name);
    inboxes.set(name, inbox);
    const [oldest] = inboxes;
    if (inboxes.size > limits.inboxCount && oldest !== undefined) {
      while (oldest[1].notifications.length > 0) dropOldest(oldest[1]);
      inboxes.delete(oldest[0]);
    }
    return inbox;
  };

  return {
    history: (name, messageId) => inboxes.get(name)?.histories.get(messageId) ?? NO_HISTORY,
    add(name, given) {
      const inbox = touch(name);
      const notification = { ...given, seq: ++lastSeq };
      inbox.notifications.push(notification);
      heldBytes += sizeBytes(notification);
      if (inbox.notifications.length > limits.perInboxCount) dropOldest(inbox);
      makeRoom();
      remember(inbox.histories, notification);
      return notification;
    },
    list: (name, { limit, beforeSeq = Infinity }) =>
      (inboxes.get(name)?.notifications ?? [])
        .filter(({ seq }) => seq < beforeSeq)
        .slice(-limit)
        .toReversed(),
  };
}

function headSeq({ notifications: [first] }: Inbox): number {
  return first?.seq ?? Infinity;
}

function sizeBytes({ headers, body }: InboxNotification): number {
  return headers.reduce((sum, [name, value]) => sum + name.length + value.length, body.length + 512);
}

function remember(histories: Map<string, MessageHistory>, notification: InboxNotification): void {
  const { messageId, attempt, isDuplicate, answeredStatus } = notification;
  if (messageId === undefined) return;
  const isAccepted = isDuplicate || (answeredStatus >= 200 && answeredStatus < 300);
  histories.set(messageId, { attemptCount: attempt, isAccepted });
  const [oldest] = histories.keys();
  if (histories.size > HISTORY_PER_INBOX_COUNT && oldest !== undefined) histories.delete(oldest);
}
