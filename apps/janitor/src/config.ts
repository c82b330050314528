import { z } from 'zod';
import { integerVariable, serviceVariables, storeVariables } from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...storeVariables,
  POSTHASTE_RETENTION_DAYS: integerVariable(1, 3650)
    .default(30)
    .describe('Days after which events, deliveries, attempts and dead letters leave PostgreSQL.'),
});

export type JanitorConfig = z.output<typeof configSchema>;
