import { describe, expect, test } from '@jest/globals';
import type { TenantId } from '#core/ids';
import { aMadeKey } from '#testkit/made-key';
import type { ExecuteCommand } from './execute-command.ts';
import { makeSigningKeys } from './signing-keys.ts';

describe('the key that signs', () => {
  test('is not taken for made while others go on writing (MS-5)', async () => {
    const execute: ExecuteCommand = () => Promise.resolve({ kind: 'conflict' });
    const { ensureActive } = makeSigningKeys({
      state: { signingKey: () => undefined, signingKeys: () => [] },
      execute,
      catchUp: () => Promise.resolve(),
      makeKey: () => Promise.resolve(aMadeKey()),
    });
    const ensured = ensureActive('acme' as TenantId, 'ed25519', { by: 'admin' });
    await expect(ensured).rejects.toMatchObject({ problem: { status: 409, code: 'conflict' } });
  });
});
