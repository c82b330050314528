import { z } from 'zod';
import {
  booleanVariable,
  busVariables,
  secret,
  serviceVariables,
  sinkVariables,
  storeVariables,
} from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  ...storeVariables,
  ...sinkVariables,
  POSTHASTE_SINK_UNIQUE: booleanVariable
    .default(false)
    .describe('true: a sink may stand in one subscription of a tenant only; a second one is refused with 409.'),
  POSTHASTE_ADMIN_TOKEN: secret(z.string().min(16, 'must have at least 16 characters')).describe(
    'Operator token: manages tenants and their API keys, and acts for a tenant with the header Posthaste-Tenant.',
  ),
});

export type RegistryConfig = z.output<typeof configSchema>;
