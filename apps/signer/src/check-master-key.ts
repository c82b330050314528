import type { Subscription } from '#core/registry/subscription';
import { keyIdOf, type MasterKey } from './master-key.ts';

/** The configured master key opens none of the secrets that there are. Starting would only produce refusals. */
export class WrongMasterKey extends Error {
  readonly code = 'signer.wrong_master_key';

  constructor(configuredId: string, expectedIds: readonly string[], secretCount: number) {
    super(
      `POSTHASTE_MASTER_KEY is the key ${configuredId}, but the signing secrets here (${secretCount}) were sealed with ` +
        `the key ${expectedIds.join(', ')}. Start with that key; without it they can not be opened.`,
    );
  }
}

/**
 * Compares the key with what REGISTRY holds.
 *
 * @returns subscriptions whose secret is sealed with another key, when others are fine: they are refused one by one
 * @throws WrongMasterKey when there are secrets and the key fits none of them
 */
export function checkMasterKey(masterKey: MasterKey, subscriptions: Iterable<Subscription>): Subscription[] {
  const sealed = [...subscriptions].filter(({ sealedSecret }) => sealedSecret !== undefined);
  const foreign = sealed.filter(({ sealedSecret = '' }) => keyIdOf(sealedSecret) !== masterKey.id);
  if (foreign.length > 0 && foreign.length === sealed.length) {
    const ids = new Set(foreign.map(({ sealedSecret = '' }) => keyIdOf(sealedSecret) ?? '(unreadable)'));
    throw new WrongMasterKey(masterKey.id, [...ids], sealed.length);
  }
  return foreign;
}
