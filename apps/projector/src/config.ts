import { z } from 'zod';
import { busVariables, integerVariable, serviceVariables, storeVariables } from '#platform/config';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  ...storeVariables,
  POSTHASTE_PROJECTOR_BATCH: integerVariable(1, 10_000)
    .default(2000)
    .describe(
      'Messages of a stream that are written to PostgreSQL in one transaction, at most; of EVENTS at most 250.',
    ),
  POSTHASTE_PROJECTOR_WAIT_MS: integerVariable(0, 5000)
    .default(100)
    .describe('How long the first message of a batch waits for others: fewer transactions against fresher look-ups.'),
});

export type ProjectorConfig = z.output<typeof configSchema>;

/** Under which a running projector is asked to rebuild. */
export function rebuildSubject(deployment: string): string {
  return `${deployment === '' ? '' : `${deployment}.`}projector.rebuild`;
}
