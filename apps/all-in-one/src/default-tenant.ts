import type { KeptSecrets } from '#embedded/kept-secrets';
import { send, sendForJson } from './http-client.ts';

/** The tenant that is there from the start, so that the first event needs no set-up. */
export const DEFAULT_TENANT = 'default';

export interface DefaultTenantOptions {
  /** Base URL of `/v1`. */
  readonly registryUrl: string;
  readonly adminToken: string;
  readonly secrets: KeptSecrets;
}

/**
 * Makes sure that the tenant `default` exists and answers an API key of it with all scopes: the kept one while it works,
 * else a new one. Over HTTP, as anybody would, so that it goes the same way in one process and in many.
 *
 * @throws UnexpectedAnswer with what the registry said
 */
export async function ensureDefaultTenant({ registryUrl, adminToken, secrets }: DefaultTenantOptions): Promise<string> {
  const tenantUrl = `${registryUrl}/v1/tenants/${DEFAULT_TENANT}`;
  const kept = secrets.get('defaultApiKey');
  if (kept !== undefined && (await send(tenantUrl, { token: kept })).ok) return kept;
  const found = await send(tenantUrl, { token: adminToken });
  if (found.status === 404) await sendForJson(tenantUrl, { method: 'PUT', token: adminToken, body: {} });
  const made = await sendForJson(`${tenantUrl}/keys`, {
    method: 'POST',
    token: adminToken,
    body: { name: 'default', scopes: ['publish', 'manage', 'read'] },
  });
  const { key } = made as { key: string };
  await secrets.put('defaultApiKey', key);
  return key;
}
