import { z } from 'zod';
import { busVariables, eventVariables, integerVariable, serviceVariables } from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  ...eventVariables,
  POSTHASTE_MATCHER_BATCH: integerVariable(1, 1000)
    .default(200)
    .describe('Events pulled and matched together; one look at the registry serves them all.'),
});

export type MatcherConfig = z.output<typeof configSchema>;
