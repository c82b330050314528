import type { ApiKeyId, TenantId } from '../ids.ts';

/** `admin`: everything within the tenant, its API keys included. */
export const API_KEY_SCOPES = ['publish', 'manage', 'read', 'admin'] as const;
export type ApiKeyScope = (typeof API_KEY_SCOPES)[number];

export interface ApiKey {
  readonly id: ApiKeyId;
  readonly tenant: TenantId;
  /** SHA-256 of the whole key text, lower-case hex. The key itself is shown once and kept nowhere. */
  readonly hash: string;
  readonly name: string;
  readonly scopes: readonly ApiKeyScope[];
  /** How the key begins, so that people can tell which one they hold. Absent of keys from before it was kept. */
  readonly prefix?: string;
  /** From this instant on it is refused. Absent: never. */
  readonly expiresAtMs?: number;
  /** Requests per minute that each gateway or registry lets it make. Absent: no limit. */
  readonly requestsPerMinute?: number;
  readonly createdAtMs: number;
}

/** What a key is made of besides its text. */
export type ApiKeyTerms = Pick<ApiKey, 'name' | 'scopes' | 'prefix' | 'expiresAtMs' | 'requestsPerMinute'>;

export type ApiKeyCommand =
  | ({
      readonly kind: 'CreateApiKey';
      readonly id: ApiKeyId;
      readonly tenant: TenantId;
      readonly hash: string;
    } & ApiKeyTerms)
  | { readonly kind: 'RevokeApiKey' };

export type ApiKeyEvent =
  | ({
      readonly kind: 'ApiKeyCreated';
      readonly id: ApiKeyId;
      readonly tenant: TenantId;
      readonly hash: string;
      readonly atMs: number;
      readonly by: string;
    } & ApiKeyTerms)
  | { readonly kind: 'ApiKeyRevoked'; readonly atMs: number; readonly by: string };
