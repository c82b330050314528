import { z } from 'zod';
import { busVariables, integerVariable, publicVariables, serviceVariables, sinkVariables } from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  ...sinkVariables,
  ...publicVariables,
  POSTHASTE_SINK_CA_FILE: z
    .string()
    .optional()
    .describe('PEM file of certificate authorities trusted for sinks, in addition to the well-known ones.'),
  POSTHASTE_DELIVERY_SLOTS: integerVariable(1, 10_000)
    .default(256)
    .describe('First attempts in flight per process; later attempts have a quarter of it, on top.'),
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
