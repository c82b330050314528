import { z } from 'zod';
import { busVariables, eventVariables, integerVariable, serviceVariables } from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  ...eventVariables,
  POSTHASTE_MATCHER_BATCH: integerVariable(1, 1000)
    .default(200)
    .describe('Events pulled and matched together, at most 16 MiB of them; one look at the registry serves them all.'),
  POSTHASTE_MATCHER_TENANT_DELIVERIES_PER_SECOND: integerVariable(100, 1_000_000)
    .default(500)
    .describe(
      'Deliveries per second that each matcher puts on the common road for one tenant, after a pause as many at once. What is over goes by the bulk road, where it only waits for others like it.',
    ),
});

export type MatcherConfig = z.output<typeof configSchema>;
