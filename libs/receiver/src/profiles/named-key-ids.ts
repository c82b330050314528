import { parseDraft05 } from '#core/signature/http-signatures-draft05';
import type { SignedRequest } from '../received-notification.ts';

const KEY_IDS_MAX = 8;

/** What the signatures of a request call their keys; none for Standard Webhooks. The lenient reading serves both forms. */
export function namedKeyIds({ headers }: SignedRequest): string[] {
  const ids = parseDraft05(headers).flatMap(({ params }) => params.get('keyid') ?? []);
  return [...new Set(ids)].slice(0, KEY_IDS_MAX);
}
