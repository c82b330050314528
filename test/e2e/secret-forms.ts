import { createPrivateKey } from 'node:crypto';

/**
 * The spellings in which a secret could be written down: as it is, without its prefix (`phk_…`), escaped in JSON and URLs, and
 * encoded, also as a part of something longer. Of what is base64 itself (`whsec_…`, a master key) also those of its bytes, of a
 * private key in PEM those of its number.
 */
export function formsOf(secret: string): readonly string[] {
  const bare = secret.replace(/^[a-z]+_/, '');
  const escaped = [JSON.stringify(secret).slice(1, -1), secret.replaceAll('/', '\\/'), encodeURIComponent(secret)];
  const [, base64] = /^(?:whsec_)?([A-Za-z0-9+/]{32,}={0,2})$/.exec(secret) ?? [];
  const encoded = base64 === undefined ? [] : formsOfBytes(Buffer.from(base64, 'base64'));
  const ofKey = secret.startsWith('-----BEGIN') ? formsOfKey(secret) : [];
  return [...new Set([secret, bare, ...escaped, ...formsOfBytes(Buffer.from(secret)), ...encoded, ...ofKey])];
}

function formsOfBytes(bytes: Buffer): readonly string[] {
  const base64 = [0, 1, 2].map((before) => base64Within(bytes, before));
  const base64url = base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'));
  const hex = bytes.toString('hex');
  return [...base64, ...base64url, hex, hex.toUpperCase(), bytes.join(','), bytes.toString('latin1')];
}

/** What of the base64 of something longer depends on these bytes alone, with so many others before them. */
function base64Within(bytes: Buffer, before: number): string {
  const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
  return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes.length) * 8) / 6));
}

/** Of a key on a curve, as it stands in DER and JWK. The first line of a PEM has the beginning of it in any case. */
function formsOfKey(pem: string): readonly string[] {
  const { d = '' } = createPrivateKey(pem).export({ format: 'jwk' });
  const [, firstLine = ''] = pem.split(/\r?\n/);
  return [firstLine, ...formsOfBytes(Buffer.from(d, 'base64url'))];
}
