import { createHmac } from 'node:crypto';
import { formatSecret } from '#core/signature/signing-secret';

/**
 * The signing secret of an inbox, `whsec_…`: the same for as long as the key is, without a file per inbox.
 *
 * @param inboxKey random text of the installation, kept in the data directory
 */
export function inboxSecret(inboxKey: string, name: string): string {
  return formatSecret(createHmac('sha256', inboxKey).update(`inbox:${name}`).digest());
}

/** What may stand after `/inbox/`. */
export function isInboxName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/.test(name);
}
