import { z } from 'zod';
import { secret, serviceVariables } from '#platform/config';

/** Of the inbox as a process of its own. */
export const configSchema = z.object({
  ...serviceVariables,
  POSTHASTE_INBOX_URL: z.url().describe('Base URL of the inboxes as sinks; a name follows after a slash.'),
  POSTHASTE_INBOX_KEY: secret(z.string().min(32)).describe(
    'Random text that the signing secrets of all inboxes are made of.',
  ),
});
