import { z } from 'zod';
import { busVariables, secret, serviceVariables } from '#platform/config';
import { parseMasterKey } from './master-key.ts';

export const configSchema = z.object({
  ...serviceVariables,
  ...busVariables,
  POSTHASTE_MASTER_KEY: secret(
    z.string().refine((text) => parseMasterKey(text) !== undefined, 'must be base64 of 32 random bytes'),
  ).describe(
    'Key that seals all secrets, base64 of 32 bytes (openssl rand -base64 32). Keep a copy: nothing opens them without it.',
  ),
});

export type SignerConfig = z.output<typeof configSchema>;
