import type { TenantId } from '#core/ids';
import type { Tenant } from '#core/registry/tenant';
import { productVersion } from '#platform/version';

/**
 * The `User-Agent` of a tenant's requests: what the operator gave it, else the installation's.
 *
 * @param ofInstallation absent: `Posthaste/<version>`
 */
export function makeUserAgentOf(
  fold: { tenant(id: TenantId): Pick<Tenant, 'policy'> | undefined },
  ofInstallation = `Posthaste/${productVersion()}`,
): (tenant: TenantId) => string {
  return (tenant) => fold.tenant(tenant)?.policy?.userAgent ?? ofInstallation;
}
