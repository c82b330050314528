import { z } from 'zod';
import { databaseUrlVariable, natsServersVariable, integerVariable, secret, publicVariables } from '#platform/config';
import { configSchema as delivery } from '../../delivery/src/config.ts';
import { configSchema as gateway } from '../../gateway/src/config.ts';
import { configSchema as janitor } from '../../janitor/src/config.ts';
import { configSchema as matcher } from '../../matcher/src/config.ts';
import { configSchema as projector } from '../../projector/src/config.ts';
import { configSchema as registry } from '../../registry/src/config.ts';
import { configSchema as signer } from '../../signer/src/config.ts';

/** What somebody may set. Unlike in the single services nothing is required: what is unset is started or generated. */
export const configSchema = z.object({
  ...gateway.shape,
  ...registry.shape,
  ...matcher.shape,
  ...delivery.shape,
  ...signer.shape,
  ...projector.shape,
  ...janitor.shape,
  POSTHASTE_DATA_DIR: z
    .string()
    .default('.posthaste')
    .describe('Directory of everything that is kept: streams, database, generated secrets. One process at a time.'),
  POSTHASTE_PUBLIC_URL: publicVariables.POSTHASTE_PUBLIC_URL.describe(
    'URL under which others reach this service, when it is not the address that it listens on.',
  ),
  POSTHASTE_NATS_SERVER: z
    .string()
    .optional()
    .describe('The nats-server to run; default: from PATH, the cache, or built with go install.'),
  POSTHASTE_NATS_URL: secret(natsServersVariable)
    .optional()
    .describe('External NATS servers, comma-separated, instead of the embedded one.'),
  POSTHASTE_DATABASE_URL: secret(databaseUrlVariable)
    .optional()
    .describe('External PostgreSQL (15 or newer) instead of the embedded one.'),
  POSTHASTE_ADMIN_TOKEN: gateway.shape.POSTHASTE_ADMIN_TOKEN.optional().describe(
    'Operator token; generated and kept in the data directory if unset.',
  ),
  POSTHASTE_MASTER_KEY: signer.shape.POSTHASTE_MASTER_KEY.optional().describe(
    'Key that seals all secrets, base64 of 32 bytes; generated and kept in the data directory if unset.',
  ),
  POSTHASTE_INBOX_URL: z
    .url()
    .optional()
    .describe('Base URL of the built-in inbox as a sink; default: this service itself, /inbox.'),
});

export type AllInOneConfig = z.output<typeof configSchema>;

/** For the services as separate processes: how many of those of which there can be several. */
export const clusterConfigSchema = configSchema.extend({
  POSTHASTE_CLUSTER_DELIVERY: integerVariable(1, 64).default(2).describe('Delivery workers of npm run cluster.'),
  POSTHASTE_CLUSTER_MATCHER: integerVariable(1, 64).default(2).describe('Matchers of npm run cluster.'),
});

export type ClusterConfig = z.output<typeof clusterConfigSchema>;
