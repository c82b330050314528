import { createInbox, type NatsConnection } from '@nats-io/nats-core';
import type { NatsConnectionImpl } from '@nats-io/nats-core/internal';

/** How the subject of every inbox begins, also of those of other clients. */
export const INBOX = '_INBOX';

/**
 * First token of the subjects that a service is answered on: of its own, so that `deploy/nats/accounts.conf` can keep what the
 * signer answers to one from all others.
 */
export function inboxPrefixOf(user: string): string {
  return `${INBOX}_${user.replaceAll(/[^A-Za-z0-9_-]/g, '_')}`;
}

/** A new subject to be answered on, under the prefix of the connection. */
export function inboxOf(nc: NatsConnection): string {
  // Every connection of the client is one; the interface does not show its options.
  return createInbox((nc as NatsConnectionImpl).options.inboxPrefix);
}
