import {
  createHmac,
  createPrivateKey,
  hash,
  randomBytes,
  sign as signBytes,
  type JsonWebKey,
  type KeyObject,
} from 'node:crypto';
import { contentDigest, digest } from '#core/signature/content-digest';
import type { HmacHeaderNames } from '#core/signature/header-names';
import { prepareHmacTimestamp } from '#core/signature/hmac-timestamp';
import type { HeaderPair } from '#core/signature/http-message';
import { prepareDraft05 } from '#core/signature/http-signatures-draft05';
import { DEFAULT_COMPONENTS, DEFAULT_TAG, namedComponents, prepareRfc9421 } from '#core/signature/rfc9421';
import { prepareStandardWebhooks, type Signable } from '#core/signature/standard-webhooks';
import { parsePrivateKey, prepareStandardWebhooksV1a } from '#core/signature/standard-webhooks-v1a';
import type { Unsigned } from '#core/signature/unsigned';
import { headerNamesWith } from './header-prefix.ts';
import { keyOf } from './profiles/standard-webhooks.ts';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';
import { headerPairs, type RequestHeaders } from './request-headers.ts';

/** A notification that a subscriber's test makes up. */
export interface TestNotification extends Signable {
  /** Absolute; the profiles that sign the request need it. */
  readonly url?: string;
  /** Default `POST`. */
  readonly method?: string;
  /** What the request has beside the signature: `content-type`, the `ce-` headers. */
  readonly headers?: RequestHeaders;
}

/** `whsk_…`, a PEM (PKCS 8), or a private JWK. */
export type PrivateKeyInput = string | (object & { readonly d?: string });

/** How to sign, as `config.signature` says it. */
export type SignSettings = ProfileSettings & {
  /** As in the options of `verify`. */
  readonly headerPrefix?: string;
};

type ProfileSettings =
  | { readonly profile: 'standard-webhooks'; readonly secrets: readonly string[] }
  | { readonly profile: 'hmac-timestamp'; readonly secrets: readonly string[]; readonly headerNames?: HmacHeaderNames }
  | { readonly profile: 'standard-webhooks-v1a'; readonly privateKeys: readonly PrivateKeyInput[] }
  | {
      readonly profile: 'rfc9421';
      readonly privateKey: PrivateKeyInput;
      readonly keyId: string;
      readonly components?: readonly string[];
      readonly tag?: string;
      readonly expiresSeconds?: number;
      readonly nonce?: string;
    }
  | {
      readonly profile: 'http-signatures-draft-05';
      readonly privateKey: PrivateKeyInput;
      readonly keyId: string;
      readonly verbatim?: boolean;
      readonly nonce?: string;
    }
  | { readonly profile: 'none' };

type Settings<Profile extends SignSettings['profile']> = Extract<SignSettings, { profile: Profile }>;

/**
 * The headers that Posthaste would send with this body, to be added to those of the notification: for a subscriber's own
 * tests. Several secrets give several signatures, as during a rotation (SW-4).
 *
 * @throws ReceiverMisconfigured when a secret or key can not be one
 * @throws UnsignableMessage when an id, timestamp or header can not be signed
 */
export function sign(notification: TestNotification, settings: SignSettings): [string, string][] {
  return signatureFields(notification, settings).map(([name, value]) => [name, value]);
}

function signatureFields(notification: TestNotification, settings: SignSettings): readonly HeaderPair[] {
  const names = headerNamesWith(settings.headerPrefix);
  switch (settings.profile) {
    case 'standard-webhooks':
      return withHmacs(prepareStandardWebhooks(notification, names), settings.secrets.map(keyOf));
    case 'hmac-timestamp':
      return withHmacs(
        prepareHmacTimestamp(notification, settings.headerNames ?? names.hmacTimestamp),
        settings.secrets,
      );
    case 'standard-webhooks-v1a': {
      const unsigned = prepareStandardWebhooksV1a(notification, names);
      return unsigned.headersWith(settings.privateKeys.map((key) => signatureOf(unsigned, readPrivateKey(key))));
    }
    case 'rfc9421':
      return signRfc9421(notification, settings, names.id);
    case 'http-signatures-draft-05':
      return signDraft05(notification, settings);
    case 'none':
      return [];
  }
}

function signRfc9421(notification: TestNotification, settings: Settings<'rfc9421'>, idHeader: string): HeaderPair[] {
  const { messageId, timestampSeconds: created, body } = notification;
  const { privateKey, keyId: keyid, components = DEFAULT_COMPONENTS, tag = DEFAULT_TAG, expiresSeconds } = settings;
  const key = readPrivateKey(privateKey);
  const own: HeaderPair[] = [
    ['content-digest', contentDigest(hash('sha256', body, 'base64'))],
    [idHeader, messageId],
  ];
  const alg = key.asymmetricKeyType === 'ed25519' ? 'ed25519' : 'ecdsa-p256-sha256';
  const expires = expiresSeconds === undefined ? {} : { expires: created + expiresSeconds };
  const params = { created, ...expires, keyid, alg, nonce: settings.nonce ?? newNonce(), tag };
  const unsigned = prepareRfc9421(headOf(notification, own), {
    components: namedComponents(components, idHeader),
    params,
  });
  return [...own, ...unsigned.headersWith([signatureOf(unsigned, key)])];
}

/** Signs `date`, `user-agent` and `content-length` too: what of these the notification does not have is added. */
function signDraft05(notification: TestNotification, settings: Settings<'http-signatures-draft-05'>): HeaderPair[] {
  const { timestampSeconds, body, headers = [] } = notification;
  const { privateKey, keyId: keyid, verbatim = false } = settings;
  const given = new Set(headerPairs(headers).map(([name]) => name));
  const own: HeaderPair[] = [
    ['date', new Date(timestampSeconds * 1000).toUTCString()],
    ['digest', digest(hash('sha256', body, 'base64'))],
    ['content-length', String(body.length)],
    ['user-agent', 'Posthaste/test'],
  ];
  const added = own.filter(([name]) => !given.has(name));
  const unsigned = prepareDraft05(headOf(notification, added), {
    keyid,
    nonce: settings.nonce ?? newNonce(),
    hasBareNonce: verbatim,
    ...(verbatim ? {} : { created: timestampSeconds }),
  });
  return [...added, ...unsigned.headersWith([signatureOf(unsigned, readPrivateKey(privateKey))])];
}

function headOf({ method = 'POST', url, headers = [] }: TestNotification, own: readonly HeaderPair[]) {
  if (url === undefined) throw new ReceiverMisconfigured('This profile signs the request: `url` is needed, absolute.');
  return { method, url, headers: [...headerPairs(headers), ...own] };
}

function newNonce(): string {
  return randomBytes(16).toString('hex');
}

function withHmacs(unsigned: Unsigned, keys: readonly (string | Uint8Array)[]): HeaderPair[] {
  return unsigned.headersWith(
    keys.map((key) => {
      const hmac = createHmac('sha256', key);
      for (const piece of unsigned.pieces) hmac.update(piece);
      return hmac.digest(unsigned.encoding);
    }),
  );
}

function signatureOf({ pieces, encoding }: Unsigned, key: KeyObject): string {
  const bytes = Buffer.concat(pieces.map((piece) => (typeof piece === 'string' ? Buffer.from(piece) : piece)));
  const signature =
    key.asymmetricKeyType === 'ed25519'
      ? signBytes(null, bytes, key)
      : signBytes('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' });
  return signature.toString(encoding);
}

/** What PKCS 8 has before the 32 bytes of an ed25519 key (RFC 8410). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

function readPrivateKey(input: PrivateKeyInput): KeyObject {
  const seed = typeof input === 'string' ? parsePrivateKey(input) : undefined;
  try {
    if (seed !== undefined) {
      return createPrivateKey({ key: Buffer.concat([ED25519_PKCS8, seed]), format: 'der', type: 'pkcs8' });
    }
    return createPrivateKey(typeof input === 'string' ? input : { key: input as JsonWebKey, format: 'jwk' });
  } catch (cause) {
    throw new ReceiverMisconfigured('A private key that was given can not be read: whsk_…, a PEM or a JWK.', { cause });
  }
}
