import { z } from 'zod';
import { timestampToUnixMs } from '#core/event/timestamp';
import { API_KEY_SCOPES, type ApiKey, type ApiKeyScope } from '#core/registry/api-key';
import { displayName } from './tenant-body.ts';
import { required, strictMembers } from './violations.ts';
import { RATE_MAX, whole } from './whole-number.ts';

const KNOWN_SCOPES = API_KEY_SCOPES.join(', ');

/** Body of `POST /v1/tenants/{tenant}/keys`. Repeated scopes count once. */
export const apiKeyBody = strictMembers({
  name: displayName.optional(),
  scopes: z
    .array(
      z.enum(API_KEY_SCOPES, `This must be one of ${KNOWN_SCOPES}.`),
      required(`an array of scopes (${KNOWN_SCOPES})`),
    )
    .min(1, `At least one scope is needed: ${KNOWN_SCOPES}.`)
    .transform((scopes): readonly ApiKeyScope[] => API_KEY_SCOPES.filter((scope) => scopes.includes(scope))),
  expiresAt: z
    .string(required('an instant such as 2030-01-01T00:00:00Z'))
    .transform((text, context) => {
      const atMs = timestampToUnixMs(text);
      if (atMs === undefined) context.addIssue('This must be an RFC 3339 timestamp such as 2030-01-01T00:00:00Z.');
      return atMs ?? z.NEVER;
    })
    .optional(),
  requestsPerMinute: whole('requests per minute', 1, RATE_MAX).optional(),
}).transform(({ name, scopes, expiresAt, requestsPerMinute }) => ({
  scopes,
  ...(name === undefined ? {} : { name }),
  ...(expiresAt === undefined ? {} : { expiresAtMs: expiresAt }),
  ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }),
}));

/** How an API key is shown: never its text, except as `key` in the answer that made it. */
export interface ApiKeyResource {
  readonly id: string;
  readonly key?: string;
  readonly name: string;
  readonly scopes: readonly ApiKeyScope[];
  /** The first characters of the key. */
  readonly prefix?: string;
  readonly expiresAt?: string;
  readonly requestsPerMinute?: number;
  /** Up to a minute behind; absent when it was not used, or not for a year. */
  readonly lastUsedAt?: string;
  readonly lastUsedFrom?: string;
  readonly createdAt: string;
}

export function apiKeyToResource(
  apiKey: Omit<ApiKey, 'hash'>,
  { key, lastUse }: { readonly key?: string; readonly lastUse?: { readonly atMs: number; readonly from: string } } = {},
): ApiKeyResource {
  const { prefix, expiresAtMs, requestsPerMinute } = apiKey;
  return {
    id: apiKey.id,
    ...(key === undefined ? {} : { key }),
    name: apiKey.name,
    scopes: apiKey.scopes,
    ...(prefix === undefined ? {} : { prefix }),
    ...(expiresAtMs === undefined ? {} : { expiresAt: new Date(expiresAtMs).toISOString() }),
    ...(requestsPerMinute === undefined ? {} : { requestsPerMinute }),
    ...(lastUse === undefined ? {} : { lastUsedAt: new Date(lastUse.atMs).toISOString(), lastUsedFrom: lastUse.from }),
    createdAt: new Date(apiKey.createdAtMs).toISOString(),
  };
}
