import type { SigningKey } from '#core/registry/signing-key';
import type { SealedSecrets, Subscription } from '#core/registry/subscription';
import { keyIdOf, type MasterKeys } from './master-key.ts';

/** A master key that something here was sealed with is not configured. Starting would only produce refusals. */
export class WrongMasterKey extends Error {
  readonly code = 'signer.wrong_master_key';

  constructor(configuredIds: readonly string[], missing: ReadonlyMap<string, SealedCounts>) {
    const found = [...missing].map(([id, counts]) => `the key ${id} sealed ${describeCounts(counts)}`);
    super(
      `The master key ${[...missing.keys()].join(', ')} is missing: ${found.join('; ')}. ` +
        `Configured: ${configuredIds.join(', ')}. Give the missing one as well, behind the one that seals: ` +
        'POSTHASTE_MASTER_KEY=<sealing>,<missing>. Without it they can not be opened.',
    );
  }
}

/** How many of each kind. */
interface SealedCounts {
  readonly secrets: number;
  readonly credentials: number;
  readonly 'signing keys': number;
}

export interface SealedThings {
  readonly subscriptions: Iterable<Subscription>;
  readonly signingKeys: Iterable<SigningKey>;
}

/**
 * Compares the master keys with what REGISTRY holds.
 *
 * @returns owners of what is no envelope at all: they are refused one by one, and an operator should look at them
 * @throws WrongMasterKey when a master key is missing
 */
export function checkMasterKey(masterKeys: Pick<MasterKeys, 'ids'>, things: SealedThings): readonly string[] {
  const missing = new Map<string, SealedCounts>();
  const unreadable: string[] = [];
  for (const { owner, kind, sealed } of eachSealed(things)) {
    const keyId = keyIdOf(sealed);
    if (keyId === undefined) unreadable.push(owner);
    else if (!masterKeys.ids.includes(keyId)) {
      const counts = missing.get(keyId) ?? { secrets: 0, credentials: 0, 'signing keys': 0 };
      missing.set(keyId, { ...counts, [kind]: counts[kind] + 1 });
    }
  }
  if (missing.size > 0) throw new WrongMasterKey(masterKeys.ids, missing);
  return unreadable;
}

interface SealedThing {
  readonly owner: string;
  readonly kind: keyof SealedCounts;
  readonly sealed: string;
}

function* eachSealed({ subscriptions, signingKeys }: SealedThings): Iterable<SealedThing> {
  for (const subscription of subscriptions) {
    const { id: owner } = subscription;
    for (const sealed of secretsOf(subscription)) yield { owner, kind: 'secrets', sealed };
    const { sealedCredential } = subscription;
    if (sealedCredential !== undefined) yield { owner, kind: 'credentials', sealed: sealedCredential };
  }
  for (const { id: owner, sealedPrivateKey } of signingKeys) {
    if (sealedPrivateKey !== undefined) yield { owner, kind: 'signing keys', sealed: sealedPrivateKey };
  }
}

function secretsOf({ sealedSecret, previousSecrets = [] }: SealedSecrets): readonly string[] {
  return [...(sealedSecret === undefined ? [] : [sealedSecret]), ...previousSecrets.map(({ sealed }) => sealed)];
}

function describeCounts(counts: SealedCounts): string {
  return Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${String(count)} ${count === 1 ? kind.slice(0, -1) : kind}`)
    .join(', ');
}
