import { readFileSync } from 'node:fs';

/** A row of `validation` in `test/vectors/webhook-handshake-and-delivery.json`: how a sink answers the handshake. */
export interface HandshakeRow {
  readonly name: string;
  readonly request: { readonly rate?: number; readonly callback?: boolean };
  readonly response: { readonly status: number; readonly headers: Record<string, string> };
  readonly outcome: string;
  readonly ratePerMinute?: number | null;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../test/vectors/webhook-handshake-and-delivery.json', import.meta.url), 'utf8'),
) as { readonly validation: readonly HandshakeRow[] };

export const HANDSHAKE_ROWS = vectors.validation;

/** What the outcome of a row is called on a subscription. */
export const HANDSHAKE_STATUSES: Readonly<Record<string, string>> = {
  granted: 'granted',
  'granted at requested rate or refused (policy; target violated a MUST)': 'granted',
  denied: 'denied',
  'invalid rate': 'denied',
  'pending-callback': 'pending',
  'not-granted': 'unsupported',
};
