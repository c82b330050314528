import { decodeBase64 } from '../event/base64.ts';
import { parseDictionary } from './structured-fields.ts';

/** The `Content-Digest` of a body (RFC 9530), made of the base64 of its SHA-256 (DG-1). */
export function contentDigest(sha256Base64: string): string {
  return `sha-256=:${sha256Base64}:`;
}

/** The `Digest` of a body in the older form (RFC 3230, DG-2). */
export function digest(sha256Base64: string): string {
  return `SHA-256=${sha256Base64}`;
}

export type DigestAlgorithm = 'sha-256' | 'sha-512';

const LENGTHS: Readonly<Record<DigestAlgorithm, number>> = { 'sha-256': 32, 'sha-512': 64 };

export type Digests = ReadonlyMap<DigestAlgorithm, Uint8Array>;

/**
 * The digests in a `Content-Digest` that can be relied on; algorithms that are unknown or broken are read over (DG-1).
 * `undefined` when it is not a dictionary of byte sequences.
 */
export function parseContentDigest(value: string): Digests | undefined {
  const digests = new Map<DigestAlgorithm, Uint8Array>();
  const members = parseDictionary(value);
  if (members === undefined) return undefined;
  for (const [name, member] of members) {
    if (member.kind !== 'item' || member.bare.type !== 'bytes') return undefined;
    if (!isDigestAlgorithm(name)) continue;
    if (member.bare.value.length !== LENGTHS[name]) return undefined;
    digests.set(name, member.bare.value);
  }
  return digests;
}

/** Likewise of a `Digest`: the letter case of the algorithm does not matter (DG-2). */
export function parseDigest(value: string): Digests | undefined {
  const digests = new Map<DigestAlgorithm, Uint8Array>();
  for (const member of value.split(',')) {
    const [, nameAsSent = '', base64 = ''] = /^\s*([^\s=]+)=(\S+)\s*$/.exec(member) ?? [];
    const name = nameAsSent.toLowerCase();
    if (name === '') return undefined;
    if (!isDigestAlgorithm(name)) continue;
    const bytes = decodeBase64(base64);
    if (bytes?.length !== LENGTHS[name]) return undefined;
    digests.set(name, bytes);
  }
  return digests;
}

function isDigestAlgorithm(name: string): name is DigestAlgorithm {
  return Object.hasOwn(LENGTHS, name);
}
