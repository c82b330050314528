import { z } from 'zod';
import {
  accessVariables,
  adminTokenVariable,
  busVariables,
  eventVariables,
  integerVariable,
  listVariable,
  publicVariables,
  serviceVariables,
} from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...accessVariables,
  ...busVariables,
  ...eventVariables,
  ...publicVariables,
  POSTHASTE_ADMIN_TOKEN: adminTokenVariable.describe(
    'Operator token; may publish for a tenant with the header Posthaste-Tenant. The same for all gateways: they derive deduplication ids from it.',
  ),
  POSTHASTE_PUBLISH_ORIGINS: listVariable
    .default(['*'])
    .describe(
      'Senders that the OPTIONS handshake of /publish consents to when it carries no credential: DNS names, or * for all. With one, the policy of its tenant counts.',
    ),
  POSTHASTE_PUBLISH_BODY_MAX_BYTES: integerVariable(65_536, 67_108_864)
    .default(8_388_608)
    .describe('Largest body of one publish request; bounds a batch.'),
  POSTHASTE_PUBLISH_MAX_PENDING: integerVariable(1, 1_000_000)
    .default(8192)
    .describe('Events waiting for the acknowledgement of JetStream, per process; 429 above it.'),
});

export type GatewayConfig = z.output<typeof configSchema>;
