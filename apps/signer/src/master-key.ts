import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';
import { decodeBase64 } from '#core/event/base64';
import { base32, type SigningKeyId, type SubscriptionId, type TenantId } from '#core/ids';

/** Whose secret it is. Part of what is authenticated: a sealed secret opens nowhere else. */
export type SecretOwner =
  | {
      readonly tenant: TenantId;
      readonly subscription: SubscriptionId;
      /** What it is; absent: a signing secret. */
      readonly purpose?: 'credential';
    }
  /** The private half of a signing key. */
  | { readonly tenant: TenantId; readonly signingKey: SigningKeyId };

export type Unsealed =
  | { readonly ok: true; readonly secret: Uint8Array }
  /** `keyId`: of the master key that it was sealed with. */
  | { readonly ok: false; readonly reason: 'wrong_master_key'; readonly keyId: string }
  | { readonly ok: false; readonly reason: 'unseal_failed' };

/** Seals secrets with AES-256-GCM. Everything secret at rest goes through one of these. */
export interface MasterKey {
  /** Names the key without telling it: 40 bits of its hash. Stands in every envelope. */
  readonly id: string;
  /** @returns `v1.<key id>.<nonce>.<ciphertext and tag>`, the last two base64url */
  seal(secret: Uint8Array, owner: SecretOwner): string;
  unseal(sealed: string, owner: SecretOwner): Unsealed;
}

/** Several master keys: the first seals, all open. So a key is replaced while everything runs. */
export interface MasterKeys extends MasterKey {
  /** Of all of them, the one that seals first. */
  readonly ids: readonly [string, ...string[]];
}

const VERSION = 'v1';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** The 32 bytes of a configured key, or `undefined` when the text is not base64 of 32 bytes. */
export function parseMasterKey(text: string): Uint8Array | undefined {
  const bytes = decodeBase64(text);
  return bytes?.length === 32 ? bytes : undefined;
}

/** @param keys 32 bytes each; the first one seals */
export function makeMasterKeys(keys: readonly [Uint8Array, ...Uint8Array[]]): MasterKeys {
  const [current, ...previous] = keys;
  const sealing = makeMasterKey(current);
  const others = previous.map(makeMasterKey);
  const byId = new Map([sealing, ...others].map((one) => [one.id, one]));
  return {
    id: sealing.id,
    ids: [sealing.id, ...others.map(({ id }) => id)],
    seal: sealing.seal,
    unseal: (sealed, owner) => (byId.get(keyIdOf(sealed) ?? '') ?? sealing).unseal(sealed, owner),
  };
}

/** @param key 32 bytes. Random nonces are safe for 2³² seals (NIST SP 800-38D): two per created subscription at most. */
export function makeMasterKey(key: Uint8Array): MasterKey {
  const id = base32(createHash('sha256').update('posthaste master key ').update(key).digest().subarray(0, 5));
  return {
    id,
    seal(secret, owner) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(boundTo(id, owner));
      const sealed = Buffer.concat([cipher.update(secret), cipher.final(), cipher.getAuthTag()]);
      return [VERSION, id, nonce.toString('base64url'), sealed.toString('base64url')].join('.');
    },
    unseal(text, owner) {
      const envelope = parseEnvelope(text);
      if (envelope === undefined) return { ok: false, reason: 'unseal_failed' };
      if (envelope.keyId !== id) return { ok: false, reason: 'wrong_master_key', keyId: envelope.keyId };
      const { nonce, sealed } = envelope;
      const decipher = createDecipheriv('aes-256-gcm', key, nonce).setAAD(boundTo(id, owner));
      decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
      try {
        const opened = decipher.update(sealed.subarray(0, -TAG_BYTES));
        return { ok: true, secret: Buffer.concat([opened, decipher.final()]) };
      } catch {
        return { ok: false, reason: 'unseal_failed' }; // the tag does not fit: damaged, or of another owner
      }
    },
  };
}

/** Neither tenants nor ids have dots. */
function boundTo(keyId: string, owner: SecretOwner): Uint8Array {
  const parts = 'signingKey' in owner ? [owner.signingKey, 'signing-key'] : [owner.subscription];
  const purpose = 'purpose' in owner ? [owner.purpose] : [];
  return Buffer.from([VERSION, keyId, owner.tenant, ...parts, ...purpose].join('.'));
}

/** The id of the master key that an envelope names, or `undefined` when it is not an envelope. */
export function keyIdOf(sealed: string): string | undefined {
  return parseEnvelope(sealed)?.keyId;
}

function parseEnvelope(text: string): { keyId: string; nonce: Uint8Array; sealed: Uint8Array } | undefined {
  const [version, keyId = '', nonceText = '', sealedText = '', ...more] = text.split('.');
  const nonce = Buffer.from(nonceText, 'base64url');
  const sealed = Buffer.from(sealedText, 'base64url');
  const wellFormed = version === VERSION && more.length === 0 && keyId !== '';
  if (!wellFormed || nonce.length !== NONCE_BYTES || sealed.length < TAG_BYTES) return undefined;
  return { keyId, nonce, sealed };
}
