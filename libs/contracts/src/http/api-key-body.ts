import { z } from 'zod';
import { API_KEY_SCOPES, type ApiKey, type ApiKeyScope } from '#core/registry/api-key';
import { displayName } from './tenant-body.ts';
import { required, strictMembers } from './violations.ts';

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
});

/** How an API key is shown: never its text, except as `key` in the answer that made it. */
export interface ApiKeyResource {
  readonly id: string;
  readonly key?: string;
  readonly name: string;
  readonly scopes: readonly ApiKeyScope[];
  readonly createdAt: string;
}

export function apiKeyToResource(apiKey: Omit<ApiKey, 'hash'>, key?: string): ApiKeyResource {
  return {
    id: apiKey.id,
    ...(key === undefined ? {} : { key }),
    name: apiKey.name,
    scopes: apiKey.scopes,
    createdAt: new Date(apiKey.createdAtMs).toISOString(),
  };
}
