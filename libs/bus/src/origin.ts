import type { MsgHdrs } from '@nats-io/nats-core';

/** What the server adds to a message with which it answers a direct get. */
const OF_A_DIRECT_GET = ['Nats-Stream', 'Nats-Subject', 'Nats-Sequence', 'Nats-Time-Stamp'] as const;

/**
 * Whether somebody published a message of ours onto its subject. Otherwise it is an answer of the server: nats-server does not
 * check where a client wants an answer to, so who may read anything can have it stored on any subject that a stream listens to
 * (`deploy/nats/README.md`).
 *
 * - All that {@link import('./publisher.ts').Publisher} stores has an id. Answers of the API, of services, and of direct gets without
 *   headers have none.
 * - A direct get answers with the headers of the message, and names it in others.
 * - What a consumer delivers is stored under the subject that it had, so it is found out by that.
 *
 * @param headers as stored, or as a direct get answers, which names the message a first time
 */
export function isPublished(headers: MsgHdrs | undefined, readBy: 'consumer' | 'direct-get' = 'consumer'): boolean {
  const named = readBy === 'consumer' ? 0 : 1;
  return headers?.has('Nats-Msg-Id') === true && OF_A_DIRECT_GET.every((name) => headers.values(name).length <= named);
}
