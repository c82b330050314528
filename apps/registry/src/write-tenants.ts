import { tenantHeaderClashes } from '#contracts/http/tenant-headers';
import { makeApiKeyId, type ApiKeyId, type TenantId } from '#core/ids';
import type { ApiKey, ApiKeyTerms } from '#core/registry/api-key';
import type { Subscription } from '#core/registry/subscription';
import { isTerminal } from '#core/registry/subscription-state';
import { policyOf, type Tenant, type TenantPolicy } from '#core/registry/tenant';
import { headerNamesOf } from '#core/signature/header-names';
import type { Caller } from '#platform/authenticate';
import { apiKeyAggregate, tenantAggregate, type RegistryState } from './aggregates.ts';
import type { ExecuteCommand } from './execute-command.ts';

export interface WriteTenantPorts {
  readonly state: RegistryState;
  subscriptions(tenant: TenantId): Iterable<Subscription>;
  readonly execute: ExecuteCommand;
  catchUp(): Promise<void>;
  sha256Hex(text: string): string;
  now(): number;
  randomBytes(count: number): Uint8Array;
}

export type TenantPut =
  | { readonly kind: 'put'; readonly tenant: Tenant; readonly isNew: boolean }
  /** These subscriptions set headers themselves that the wanted prefix makes. Nothing was changed. */
  | { readonly kind: 'prefix_taken'; readonly by: readonly Subscription[] }
  | { readonly kind: 'conflict' };

export type ApiKeyCreated =
  /** `text` is the key itself: shown once, kept nowhere. */
  | { readonly kind: 'created'; readonly apiKey: ApiKey; readonly text: string }
  | { readonly kind: 'tenant_unknown' }
  /** It would be over before it was made. */
  | { readonly kind: 'expired' }
  | { readonly kind: 'conflict' };

export type ApiKeyRevoked =
  | { readonly kind: 'revoked'; readonly apiKey: ApiKey }
  | { readonly kind: 'not_found' }
  | { readonly kind: 'conflict' };

/** `phk_` and six of the 43 characters: 36 of 256 bits. */
const SHOWN_PREFIX_LENGTH = 10;

/** Puts tenants, creates and revokes their API keys: what the operator does. */
export function makeWriteTenants(ports: WriteTenantPorts) {
  return { putTenant, createApiKey, revokeApiKey };

  /**
   * Without a name a new tenant is named after its id, and an old one keeps its name; it keeps its policy likewise. A
   * prefix whose headers a subscription sets is refused: what its sink relies on would be gone without a word.
   */
  async function putTenant(
    id: TenantId,
    { name, policy }: { readonly name?: string | undefined; readonly policy?: TenantPolicy | undefined },
    caller: Caller,
  ): Promise<TenantPut> {
    let by: readonly Subscription[] = [];
    const executed = await ports.execute(tenantAggregate(ports.state, id), caller, (state) => {
      by = policy === undefined ? [] : holdersOf(id, policy, policyOf(state));
      const given = policy === undefined ? {} : { policy };
      return by.length > 0 ? undefined : { kind: 'PutTenant', id, name: name ?? state?.name ?? id, ...given };
    });
    if (by.length > 0) return { kind: 'prefix_taken', by };
    if (executed.kind !== 'done' || executed.after === undefined) return { kind: 'conflict' };
    return { kind: 'put', tenant: executed.after, isNew: executed.before === undefined };
  }

  /** Only of another prefix: what is put again was accepted before. */
  function holdersOf(tenant: TenantId, wanted: TenantPolicy, current: TenantPolicy): readonly Subscription[] {
    const { headerPrefix } = policyOf({ policy: wanted });
    if (headerPrefix === current.headerPrefix) return [];
    const names = headerNamesOf(headerPrefix);
    return [...ports.subscriptions(tenant)].filter(
      (one) => !isTerminal(one) && tenantHeaderClashes(one.spec, one.spec.sinkcredential, names).length > 0,
    );
  }

  async function createApiKey(
    tenant: TenantId,
    wanted: Partial<Omit<ApiKeyTerms, 'prefix'>> & Pick<ApiKeyTerms, 'scopes'>,
    caller: Caller,
  ): Promise<ApiKeyCreated> {
    if (wanted.expiresAtMs !== undefined && wanted.expiresAtMs <= ports.now()) return { kind: 'expired' };
    await ports.catchUp();
    if (ports.state.tenant(tenant) === undefined) return { kind: 'tenant_unknown' };
    const id = makeApiKeyId(ports.now(), ports.randomBytes(10));
    const text = `phk_${Buffer.from(ports.randomBytes(32)).toString('base64url')}`;
    const hash = ports.sha256Hex(text);
    const terms: ApiKeyTerms = { name: id, ...wanted, prefix: text.slice(0, SHOWN_PREFIX_LENGTH) };
    const command = { kind: 'CreateApiKey', id, tenant, hash, ...terms } as const;
    const executed = await ports.execute(apiKeyAggregate(ports.state, tenant, id), caller, () => command);
    if (executed.kind !== 'done' || executed.after === undefined) return { kind: 'conflict' };
    return { kind: 'created', apiKey: executed.after, text };
  }

  async function revokeApiKey(tenant: TenantId, id: ApiKeyId, caller: Caller): Promise<ApiKeyRevoked> {
    const aggregate = apiKeyAggregate(ports.state, tenant, id);
    const executed = await ports.execute(aggregate, caller, () => ({ kind: 'RevokeApiKey' }));
    if (executed.kind === 'conflict') return { kind: 'conflict' };
    if (executed.kind === 'refused' || executed.before === undefined) return { kind: 'not_found' };
    return { kind: 'revoked', apiKey: executed.before };
  }
}
