import { z } from 'zod';
import {
  busVariables,
  egressVariables,
  publicVariables,
  secret,
  serviceVariables,
  sinkVariables,
} from '#platform/config';
import { parseMasterKeys } from './read-master-keys.ts';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  ...sinkVariables,
  ...egressVariables,
  POSTHASTE_PUBLIC_URL: publicVariables.POSTHASTE_PUBLIC_URL.describe(
    'URL under which others reach the gateway: signatures name the URL of their public key there.',
  ),
  POSTHASTE_MASTER_KEY: secret(
    z
      .string()
      .refine(
        (text) => parseMasterKeys(text) !== undefined,
        'must be base64 of 32 random bytes, or several of them, comma-separated',
      )
      .optional(),
  ).describe(
    'Key that seals all secrets, base64 of 32 bytes (openssl rand -base64 32). Keep a copy: nothing opens them without it. Several, comma-separated: the first seals, the others only open what they sealed.',
  ),
  POSTHASTE_MASTER_KEY_FILE: z
    .string()
    .optional()
    .describe('File with the master keys, one a line, instead of POSTHASTE_MASTER_KEY.'),
});

export type SignerConfig = z.output<typeof configSchema>;
