import { constants, createPublicKey, verify, createHmac, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { HeaderPair, HttpMessageHead, HttpRequestHead } from '#core/signature/http-message';

/** A message as the vectors of RFC 9421 and of its draft write it. */
export interface VectorMessage {
  readonly startLine: string;
  readonly targetUri?: string;
  readonly headers: readonly HeaderPair[];
  readonly body?: string;
}

export interface SignatureVector {
  readonly id: string;
  readonly title: string;
  /** Name of a message of the file. */
  readonly message?: string;
  readonly messageInline?: VectorMessage;
  readonly requestInline?: VectorMessage;
  /** Transformations of one message, and whether its signature survives them. */
  readonly messages?: readonly (VectorMessage & { readonly name: string; readonly expectValid: boolean })[];
  readonly label: string;
  readonly algorithm: string;
  readonly keyid: string;
  readonly signatureInput?: string;
  readonly signatureBase: string;
  /** Base64. */
  readonly signature: string;
}

type VectorKey = { readonly publicKeyPem: string; readonly privateKeyPem: string } | { readonly secretBase64: string };

export interface SignatureVectors {
  readonly keys: Readonly<Record<string, VectorKey>>;
  readonly messages: Readonly<Record<string, VectorMessage>>;
  readonly vectors: readonly SignatureVector[];
}

export function readSignatureVectors<Extra = unknown>(file: string): SignatureVectors & Extra {
  return JSON.parse(readFileSync(`test/vectors/${file}`, 'utf8')) as SignatureVectors & Extra;
}

/** The message of a vector, with its request when it is a response. */
export function messageOf({ messages }: SignatureVectors, vector: SignatureVector): HttpMessageHead {
  const message = vector.messageInline ?? messages[vector.message ?? ''];
  if (message === undefined) throw new Error(`${vector.id} has no message`);
  if (!message.startLine.startsWith('HTTP/')) return requestOf(message);
  const status = Number(message.startLine.split(' ')[1]);
  const { requestInline: request } = vector;
  return { status, headers: message.headers, ...(request === undefined ? {} : { request: requestOf(request) }) };
}

/** A request over https to its `Host`. */
export function requestOf({ startLine, headers, targetUri }: VectorMessage): HttpRequestHead {
  const [method = '', target = ''] = startLine.split(' ');
  if (!target.startsWith('/')) {
    return { method, url: target.includes('://') ? target : 'https://example.com/', headers, requestTarget: target };
  }
  const host = headers.find(([name]) => name === 'Host')?.[1] ?? 'example.com';
  return { method, url: targetUri ?? `https://${host}${target}`, headers };
}

/** Whether a key of the vectors made a signature, by node:crypto and the names of RFC 9421. */
export function isSignedBy(
  key: VectorKey | undefined,
  { algorithm, base, signature }: { readonly algorithm: string; readonly base: string; readonly signature: Uint8Array },
): boolean {
  if (key === undefined) throw new Error('no such key');
  const data = Buffer.from(base);
  if ('secretBase64' in key) {
    const hmac = createHmac('sha256', Buffer.from(key.secretBase64, 'base64')).update(data).digest();
    return hmac.length === signature.length && timingSafeEqual(hmac, signature);
  }
  const publicKey = createPublicKey(key.publicKeyPem);
  switch (algorithm) {
    case 'ed25519':
      return verify(null, data, publicKey, signature);
    case 'ecdsa-p256-sha256':
      return verify('sha256', data, { key: publicKey, dsaEncoding: 'ieee-p1363' }, signature);
    case 'rsa-v1_5-sha256':
      return verify('sha256', data, publicKey, signature);
    case 'rsa-pss-sha512':
      return verify(
        'sha512',
        data,
        { key: publicKey, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 },
        signature,
      );
    default:
      throw new Error(`no such algorithm: ${algorithm}`);
  }
}
