import { execFileSync } from 'node:child_process';
import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createVerifier, httpbis } from 'http-message-signatures';

/** A request as it came over the wire. */
export interface WireRequest {
  readonly method: string;
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** Reads HTTP/1.1 with a `content-length`; nothing more is needed for a POST that we sent. */
export function readWireRequest(bytes: Buffer): WireRequest {
  const end = bytes.indexOf('\r\n\r\n');
  const [requestLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const [method = '', target = ''] = requestLine.split(' ');
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
  );
  const body = bytes.subarray(end + 4);
  if (body.length !== Number(headers['content-length'])) throw new Error('the request is not whole');
  return { method, target, headers, body };
}

/** RFC 9421 by the http-message-signatures package. Whether the digest is that of the body, openssl says. */
export async function isValidRfc9421(
  { method, target, headers, body }: WireRequest,
  publicJwk: object,
  { scheme, required }: { readonly scheme: 'http' | 'https'; readonly required: string[] },
): Promise<boolean> {
  const key = createPublicKey({ key: publicJwk as JsonWebKey, format: 'jwk' });
  const algorithm = key.asymmetricKeyType === 'ed25519' ? 'ed25519' : 'ecdsa-p256-sha256';
  const isValid = await httpbis.verifyMessage(
    {
      keyLookup: ({ keyid = '' }) =>
        Promise.resolve({
          id: keyid,
          algs: [algorithm],
          verify: createVerifier(key.export({ format: 'pem', type: 'spki' }), algorithm),
        }),
      requiredFields: required,
      requiredParams: ['created', 'keyid', 'nonce', 'alg', 'tag'],
    },
    { method, url: `${scheme}://${headers['host'] ?? ''}${target}`, headers: { ...headers } },
  );
  return isValid === true && headers['content-digest'] === `sha-256=:${opensslSha256(body)}:`;
}

const DRAFT05_FIELDS = ['date', 'content-type', 'digest', 'content-length', 'user-agent'];

/** The lines that a request of draft-05 is signed by: put together here once more, from the request alone. */
export function isValidDraft05({ method, target, headers, body }: WireRequest, publicJwk: object): boolean {
  const input = (headers['signature-input'] ?? '').replace(/^sig1=/, '');
  const lines = DRAFT05_FIELDS.map((name) => `"${name}": ${headers[name] ?? ''}`);
  lines.push(`"@request-target": ${method.toLowerCase()} ${target}`, `"@signature-params": ${input}`);
  const covered = `(${[...DRAFT05_FIELDS, '@request-target'].map((name) => `"${name}"`).join(' ')});`;
  const signature = Buffer.from((headers['signature'] ?? '').replace(/^sig1=:|:$/g, ''), 'base64');
  const isWhole = input.startsWith(covered) && headers['digest'] === `SHA-256=${opensslSha256(body)}`;
  return isWhole && signature.length === 64 && isValidByOpenssl(publicJwk, Buffer.from(lines.join('\n')), signature);
}

/** SHA-256 in base64, by the openssl command. */
export function opensslSha256(bytes: Uint8Array): string {
  return openssl(['dgst', '-sha256', '-binary'], bytes).toString('base64');
}

/** One verification by the openssl command; `signature` as it stands in a header, for ECDSA both numbers in 64 bytes. */
export function isValidByOpenssl(publicJwk: object, content: Uint8Array, signature: Uint8Array): boolean {
  const key = createPublicKey({ key: publicJwk as JsonWebKey, format: 'jwk' });
  const folder = mkdtempSync(join(tmpdir(), 'ph-openssl-'));
  const path = (name: string) => join(folder, name);
  try {
    writeFileSync(path('key.pem'), key.export({ format: 'pem', type: 'spki' }));
    writeFileSync(path('content'), content);
    const isEdwards = key.asymmetricKeyType === 'ed25519';
    if (isEdwards) writeFileSync(path('signature'), signature);
    else writeDerSignature(path, Buffer.from(signature));
    const how = isEdwards
      ? [
          'pkeyutl',
          '-verify',
          '-pubin',
          '-inkey',
          path('key.pem'),
          '-rawin',
          '-sigfile',
          path('signature'),
          '-in',
          path('content'),
        ]
      : ['dgst', '-sha256', '-verify', path('key.pem'), '-signature', path('signature'), path('content')];
    return /verified (ok|successfully)/i.test(opensslOrNothing(how));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** openssl wants the two numbers as ASN.1, and makes that itself. */
function writeDerSignature(path: (name: string) => string, raw: Buffer): void {
  const [r, s] = [raw.subarray(0, 32), raw.subarray(32)].map((half) => `INTEGER:0x${half.toString('hex')}`);
  writeFileSync(path('asn1'), `asn1=SEQUENCE:both\n[both]\nr=${r ?? ''}\ns=${s ?? ''}\n`);
  openssl(['asn1parse', '-noout', '-genconf', path('asn1'), '-out', path('signature')]);
}

function openssl(command: readonly string[], input?: Uint8Array): Buffer {
  return execFileSync('openssl', command, { input, stdio: ['pipe', 'pipe', 'pipe'] });
}

function opensslOrNothing(command: readonly string[]): string {
  try {
    return openssl(command).toString();
  } catch {
    return ''; // its answer to a wrong signature is an exit code
  }
}
