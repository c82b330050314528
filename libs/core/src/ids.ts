/** Identifiers: a prefix that names the kind, then 26 characters of Crockford base32 (128 bits). No dots (SW-2). */
declare const brand: unique symbol;
type Branded<Kind extends string> = string & { readonly [brand]: Kind };

/** Chosen by the operator: 1–63 of `a-z 0-9 -`, starting and ending with a letter or digit. */
export type TenantId = Branded<'tenant'>;
export type SubscriptionId = Branded<'subscription'>;
export type DeliveryId = Branded<'delivery'>;
export type ApiKeyId = Branded<'apikey'>;
export type RedeliveryId = Branded<'redelivery'>;
/** A thumbprint (RFC 7638), 43 characters of base64url: it is made of the key, not of time and chance. */
export type SigningKeyId = Branded<'signingkey'>;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Crockford base32, lower case, most significant bit first. 16 bytes give 26 characters. */
export function base32(bytes: Uint8Array): string {
  let out = '';
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = (buffer << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += ALPHABET.charAt((buffer >>> bits) & 31);
    }
    buffer &= (1 << bits) - 1;
  }
  return bits > 0 ? out + ALPHABET.charAt((buffer << (5 - bits)) & 31) : out;
}

/**
 * 48 bits of Unix milliseconds, then 80 random bits: ids made later sort later.
 *
 * @param randomBytes at least 10 bytes
 */
export function timeOrderedId(prefix: string, nowMs: number, randomBytes: Uint8Array): string {
  const bytes = new Uint8Array(16);
  let rest = nowMs;
  for (let i = 5; i >= 0; i--) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(randomBytes.subarray(0, 10), 6);
  return `${prefix}_${base32(bytes)}`;
}

export function makeSubscriptionId(nowMs: number, randomBytes: Uint8Array): SubscriptionId {
  return timeOrderedId('sub', nowMs, randomBytes) as SubscriptionId;
}

export function makeApiKeyId(nowMs: number, randomBytes: Uint8Array): ApiKeyId {
  return timeOrderedId('key', nowMs, randomBytes) as ApiKeyId;
}

export function makeRedeliveryId(nowMs: number, randomBytes: Uint8Array): RedeliveryId {
  return timeOrderedId('red', nowMs, randomBytes) as RedeliveryId;
}

/** The first 128 bits of SHA-256 over {@link deliveryIdInput}: a redelivered event fans out to the same ids. */
export function makeDeliveryId(sha256: Uint8Array): DeliveryId {
  return `dlv_${base32(sha256.subarray(0, 16))}` as DeliveryId;
}

/** What a delivery id is the hash of. Length-prefixed, so no two inputs share a text. */
export function deliveryIdInput(tenant: TenantId, source: string, id: string, subscription: SubscriptionId): string {
  return `${tenant} ${subscription} ${source.length}:${source}${id}`;
}

/** What the deduplication id of an event is the MAC of: tenant, source and id (CE-2). Length-prefixed as well. */
export function eventKeyInput(tenant: TenantId, source: string, id: string): string {
  return `${tenant} ${source.length}:${source}${id}`;
}

const TENANT_ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

export function isTenantId(value: string): value is TenantId {
  return TENANT_ID.test(value);
}

const GENERATED_ID = /^[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}$/;

export function isSubscriptionId(value: string): value is SubscriptionId {
  return GENERATED_ID.test(value) && value.startsWith('sub_');
}

export function isDeliveryId(value: string): value is DeliveryId {
  return GENERATED_ID.test(value) && value.startsWith('dlv_');
}

export function isApiKeyId(value: string): value is ApiKeyId {
  return GENERATED_ID.test(value) && value.startsWith('key_');
}

export function isRedeliveryId(value: string): value is RedeliveryId {
  return GENERATED_ID.test(value) && value.startsWith('red_');
}

export function isSigningKeyId(value: string): value is SigningKeyId {
  return /^[A-Za-z0-9_-]{43}$/.test(value);
}
