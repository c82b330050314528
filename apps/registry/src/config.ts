import { z } from 'zod';
import { busVariables, secret, serviceVariables, sinkVariables, storeVariables } from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  ...storeVariables,
  ...sinkVariables,
  POSTHASTE_ADMIN_TOKEN: secret(z.string().min(16, 'must have at least 16 characters')).describe(
    'Operator token: manages tenants and their API keys, and acts for a tenant with the header Posthaste-Tenant.',
  ),
});

export type RegistryConfig = z.output<typeof configSchema>;
