import { createHmac, createSecretKey, scryptSync } from 'node:crypto';
import { eventKeyInput, type TenantId } from '#core/ids';

/** The deduplication id that Posthaste stores an event with (CE-2). */
export type DeduplicationIdOf = (tenant: TenantId, source: string, id: string) => string;

const SALT = 'posthaste event deduplication';
const KEY_BYTES = 32;
/** 132 bits: short, because the server keeps every id of the window in memory. */
const ID_CHARACTERS = 22;

/**
 * Deduplication ids are HMAC-SHA-256, with a key that all processes with the same admin token share. They have to be
 * secret: JetStream knows one set of ids for EVENTS, and producers on NATS name their own. Who could compute the id of another
 * tenant's event could claim it first, and that event would be taken for a duplicate.
 *
 * An operator may have chosen the token, so a key that is slow to derive keeps ids from telling whether a guess is right: 50 ms, once.
 * An id takes 2 µs, as much as a plain hash of 128 bits in base32 did.
 */
export function makeDeduplicationIdOf(adminToken: string): DeduplicationIdOf {
  const key = createSecretKey(scryptSync(adminToken, SALT, KEY_BYTES));
  return (tenant, source, id) =>
    createHmac('sha256', key)
      .update(eventKeyInput(tenant, source, id))
      .digest('base64url')
      .slice(0, ID_CHARACTERS);
}
