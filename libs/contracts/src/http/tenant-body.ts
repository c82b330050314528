import { z } from 'zod';
import type { Tenant } from '#core/registry/tenant';
import { required, strictMembers } from './violations.ts';

const NAME_MAX_LENGTH = 200;

/** Free text for people: 1 to 200 characters without control characters. */
export const displayName = z
  .string(required('a text'))
  .min(1, 'This must not be empty; leave it out instead.')
  .max(NAME_MAX_LENGTH, `This must be at most ${NAME_MAX_LENGTH} characters.`)
  .regex(/^\P{Cc}*$/u, 'This must not contain control characters.');

/** Body of `PUT /v1/tenants/{tenant}`; the body may be empty as well. */
export const tenantBody = strictMembers({ name: displayName.optional() });

/** How a tenant is shown. */
export interface TenantResource {
  readonly id: string;
  readonly name: string;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export function tenantToResource(tenant: Tenant): TenantResource {
  return {
    id: tenant.id,
    name: tenant.name,
    createdAt: new Date(tenant.createdAtMs).toISOString(),
    updatedAt: new Date(tenant.updatedAtMs).toISOString(),
  };
}
