import { z } from 'zod';
import { isUserAgent, USER_AGENT_MAX_LENGTH } from '#core/registry/user-agent';
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
    .refine(
      (text) => text.length <= USER_AGENT_MAX_LENGTH && isUserAgent(text),
      `must be products such as Acme-Hooks/1.0 and comments in parentheses, with blanks between, at most ${USER_AGENT_MAX_LENGTH} characters of ASCII (RFC 9110 10.1.5)`,
    )
    .optional()
    .describe('User-Agent of notifications: products and comments as in RFC 9110. Default Posthaste/<version>.'),
});

export type DeliveryConfig = z.output<typeof configSchema>;
