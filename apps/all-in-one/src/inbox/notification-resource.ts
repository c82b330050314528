import type { InboxNotification } from './notification-ring.ts';

/** A notification in `GET /inbox/{name}/notifications`. */
export interface NotificationResource {
  readonly receivedAt: string;
  readonly verified: boolean;
  /** Why it is not verified, and what to check. */
  readonly problem?: { readonly code: string; readonly detail: string };
  readonly webhookId?: string;
  readonly attempt: number;
  readonly duplicate: boolean;
  /** The status that the sink got. */
  readonly answeredStatus: number;
  /** Attributes of the event. */
  readonly event?: Readonly<Record<string, string>>;
  readonly headers: readonly (readonly [string, string])[];
  /** The exact body when it is UTF-8 text, else `bodyBase64`. */
  readonly body?: string;
  readonly bodyBase64?: string;
}

export function notificationToResource(notification: InboxNotification): NotificationResource {
  const { verification, messageId, event } = notification;
  const text = bodyText(notification.body);
  return {
    receivedAt: new Date(notification.receivedAtMs).toISOString(),
    verified: verification.ok,
    ...(verification.ok ? {} : { problem: { code: verification.code, detail: verification.detail } }),
    ...(messageId === undefined ? {} : { webhookId: messageId }),
    attempt: notification.attempt,
    duplicate: notification.isDuplicate,
    answeredStatus: notification.answeredStatus,
    ...(event === undefined ? {} : { event }),
    headers: notification.headers,
    ...(text === undefined ? { bodyBase64: Buffer.from(notification.body).toString('base64') } : { body: text }),
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The body as text, or undefined when it is not UTF-8. */
export function bodyText(body: Uint8Array): string | undefined {
  try {
    return utf8.decode(body);
  } catch {
    return undefined;
  }
}
