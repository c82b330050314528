import { z } from 'zod';
import {
  busVariables,
  egressVariables,
  integerVariable,
  publicVariables,
  serviceVariables,
  sinkVariables,
} from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  ...sinkVariables,
  ...egressVariables,
  ...publicVariables,
  POSTHASTE_DELIVERY_SLOTS: integerVariable(1, 10_000)
    .default(256)
    .describe('First attempts in flight per process; later attempts have a quarter of it, on top.'),
  POSTHASTE_BULK_SLOTS: integerVariable(1, 10_000)
    .optional()
    .describe(
      'First attempts in flight per process of what tenants publish above their budget; default half of POSTHASTE_DELIVERY_SLOTS, on top.',
    ),
  POSTHASTE_LANE_SLOTS: integerVariable(1, 100_000)
    .default(1024)
    .describe('Attempts in flight per process of subscriptions that go by their lane, on top.'),
  POSTHASTE_LANES: integerVariable(1, 20_000).default(4096).describe('Lanes that one process drains at once.'),
  POSTHASTE_SINK_CONNECT_TIMEOUT_SECONDS: integerVariable(1, 60)
    .default(5)
    .describe('Longest wait for a connection to a sink, TLS included.'),
  POSTHASTE_SINK_TIMEOUT_SECONDS: integerVariable(1, 300)
    .default(15)
    .describe('Longest attempt in all, from connecting to the end of the response.'),
  POSTHASTE_USER_AGENT: z
    .string()
    .min(1)
    .optional()
    .describe('User-Agent of notifications; default Posthaste/<version>.'),
});

export type DeliveryConfig = z.output<typeof configSchema>;
