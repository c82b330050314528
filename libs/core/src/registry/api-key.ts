import type { ApiKeyId, TenantId } from '../ids.ts';

export const API_KEY_SCOPES = ['publish', 'manage', 'read'] as const;
export type ApiKeyScope = (typeof API_KEY_SCOPES)[number];

export interface ApiKey {
  readonly id: ApiKeyId;
  readonly tenant: TenantId;
  /** SHA-256 of the whole key text, lower-case hex. The key itself is shown once and kept nowhere. */
  readonly hash: string;
  readonly name: string;
  readonly scopes: readonly ApiKeyScope[];
  readonly createdAtMs: number;
}

export type ApiKeyCommand =
  | {
      readonly kind: 'CreateApiKey';
      readonly id: ApiKeyId;
      readonly tenant: TenantId;
      readonly hash: string;
      readonly name: string;
      readonly scopes: readonly ApiKeyScope[];
    }
  | { readonly kind: 'RevokeApiKey' };

export type ApiKeyEvent =
  | {
      readonly kind: 'ApiKeyCreated';
      readonly id: ApiKeyId;
      readonly tenant: TenantId;
      readonly hash: string;
      readonly name: string;
      readonly scopes: readonly ApiKeyScope[];
      readonly atMs: number;
      readonly by: string;
    }
  | { readonly kind: 'ApiKeyRevoked'; readonly atMs: number; readonly by: string };
