import { z } from 'zod';
import {
  accessVariables,
  adminTokenVariable,
  booleanVariable,
  busVariables,
  integerVariable,
  serviceVariables,
  sinkVariables,
  storeVariables,
} from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...accessVariables,
  ...busVariables,
  ...storeVariables,
  ...sinkVariables,
  POSTHASTE_SINK_UNIQUE: booleanVariable
    .default(false)
    .describe('true: a sink may stand in one subscription of a tenant only; a second one is refused with 409.'),
  POSTHASTE_SIGNING_KEY_DAYS: integerVariable(0, 3650)
    .default(0)
    .describe(
      'Days after which a signing key is replaced by a new one, which is published a week before; 0: by hand only. Receivers have to look keys up by their id.',
    ),
  POSTHASTE_ADMIN_TOKEN: adminTokenVariable.describe(
    'Operator token: manages tenants and their API keys, and acts for a tenant with the header Posthaste-Tenant.',
  ),
});

export type RegistryConfig = z.output<typeof configSchema>;
