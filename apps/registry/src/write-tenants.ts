import { makeApiKeyId, type ApiKeyId, type TenantId } from '#core/ids';
import type { ApiKey, ApiKeyScope } from '#core/registry/api-key';
import type { Tenant, TenantPolicy } from '#core/registry/tenant';
import { apiKeyAggregate, tenantAggregate, type RegistryState } from './aggregates.ts';
import type { ExecuteCommand } from './execute-command.ts';

export interface WriteTenantPorts {
  readonly state: RegistryState;
  readonly execute: ExecuteCommand;
  catchUp(): Promise<void>;
  sha256Hex(text: string): string;
  now(): number;
  randomBytes(count: number): Uint8Array;
}

export type TenantPut =
  { readonly kind: 'put'; readonly tenant: Tenant; readonly isNew: boolean } | { readonly kind: 'conflict' };

export type ApiKeyCreated =
  /** `text` is the key itself: shown once, kept nowhere. */
  | { readonly kind: 'created'; readonly apiKey: ApiKey; readonly text: string }
  | { readonly kind: 'tenant_unknown' }
  | { readonly kind: 'conflict' };

export type ApiKeyRevoked =
  | { readonly kind: 'revoked'; readonly apiKey: ApiKey }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'conflict' };

/** Puts tenants, creates and revokes their API keys: what the operator does. */
export function makeWriteTenants(ports: WriteTenantPorts) {
  return { putTenant, createApiKey, revokeApiKey };

  /** Without a name a new tenant is named after its id, and an old one keeps its name; it keeps its policy likewise. */
  async function putTenant(
    id: TenantId,
    { name, policy }: { readonly name?: string | undefined; readonly policy?: TenantPolicy | undefined },
    by: string,
  ): Promise<TenantPut> {
    const executed = await ports.execute(tenantAggregate(ports.state, id), by, (state) => ({
      kind: 'PutTenant',
      id,
      name: name ?? state?.name ?? id,
      ...(policy === undefined ? {} : { policy }),
    }));
    if (executed.kind !== 'done' || executed.after === undefined) return { kind: 'conflict' };
    return { kind: 'put', tenant: executed.after, isNew: executed.before === undefined };
  }

  async function createApiKey(
    tenant: TenantId,
    wanted: { readonly name?: string | undefined; readonly scopes: readonly ApiKeyScope[] },
    by: string,
  ): Promise<ApiKeyCreated> {
    await ports.catchUp();
    if (ports.state.tenant(tenant) === undefined) return { kind: 'tenant_unknown' };
    const id = makeApiKeyId(ports.now(), ports.randomBytes(10));
    const text = `phk_${Buffer.from(ports.randomBytes(32)).toString('base64url')}`;
    const hash = ports.sha256Hex(text);
    const { name = id, scopes } = wanted;
    const command = { kind: 'CreateApiKey', id, tenant, hash, name, scopes } as const;
    const executed = await ports.execute(apiKeyAggregate(ports.state, tenant, id), by, () => command);
    if (executed.kind !== 'done' || executed.after === undefined) return { kind: 'conflict' };
    return { kind: 'created', apiKey: executed.after, text };
  }

  async function revokeApiKey(tenant: TenantId, id: ApiKeyId, by: string): Promise<ApiKeyRevoked> {
    const aggregate = apiKeyAggregate(ports.state, tenant, id);
    const executed = await ports.execute(aggregate, by, () => ({ kind: 'RevokeApiKey' }));
    if (executed.kind === 'conflict') return { kind: 'conflict' };
    if (executed.kind === 'refused' || executed.before === undefined) return { kind: 'not_found' };
    return { kind: 'revoked', apiKey: executed.before };
  }
}
