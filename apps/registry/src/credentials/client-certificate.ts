import { createPrivateKey, randomBytes, sign, verify, X509Certificate, type KeyObject } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { ShownCredential } from '#core/registry/subscription';
import type { ClientCertificateCredential } from '#core/credential/sink-credential';
import type { Violation } from '#contracts/http/violations';

type Pair = Pick<ClientCertificateCredential, 'certificate' | 'privatekey'>;

/**
 * What a server would refuse a client for, or TLS would not send, is said when the certificate is given, not by deliveries
 * that fail (RFC 8446 section 4.4.2; RFC 5280 section 4.2.1.12). Empty: nothing is wrong. No text repeats the key.
 */
export function checkClientCertificate({ certificate, privatekey }: Pair, nowMs: number): readonly Violation[] {
  const chain = readChain(certificate);
  const key = readKey(privatekey);
  const [leaf] = chain ?? [];
  if (chain === undefined || leaf === undefined) return [wrong('certificate', 'This is not an X.509 certificate.')];
  if (key === undefined) return [wrong('privatekey', 'This is not a private key.')];
  const unfit = whatIsWrongWithKey(key);
  if (unfit !== undefined) return [wrong('privatekey', unfit)];
  if (!leaf.checkPrivateKey(key) || !isPair(key, leaf.publicKey)) {
    return [wrong('privatekey', `This is not the key of the first certificate, that of ${nameOf(leaf)}.`)];
  }
  const inChain = chain.flatMap((one, i) => whatIsWrongWith(one, chain[i + 1], nowMs));
  const problems = [...inChain, ...whatIsWrongWithUse(leaf)];
  if (problems.length > 0) return problems.map((detail) => wrong('certificate', detail));
  return whyUnusable({ certificate, privatekey });
}

/** What is shown of it. Only of one that {@link checkClientCertificate} has nothing against. */
export function shownCertificate({ certificate }: Pair): ShownCredential {
  const chain = readChain(certificate) ?? [];
  const expiresAtMs = Math.min(...chain.map((one) => Date.parse(one.validTo)));
  return {
    credentialtype: 'CLIENTCERTIFICATE',
    certificatesha256: chain[0]?.fingerprint256.replaceAll(':', '').toLowerCase() ?? '',
    certificateexpiresutc: new Date(expiresAtMs).toISOString(),
  };
}

function readChain(pem: string): X509Certificate[] | undefined {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return undefined;
  }
}

/** As bytes that can be wiped: of a text, Node leaves a copy in memory that it shares among its buffers. */
function readKey(pem: string): KeyObject | undefined {
  const bytes = Buffer.from(pem);
  try {
    return createPrivateKey(bytes);
  } catch {
    return undefined;
  } finally {
    bytes.fill(0);
  }
}

const RSA_MIN_BITS = 2048;
/** A signature with 4096 bits takes a delivery worker 1.5 ms in every handshake, with 8192 bits 30 ms, with 32 768 ten seconds. */
const RSA_MAX_BITS = 4096;
const CURVES = ['prime256v1', 'secp384r1', 'secp521r1'];

function whatIsWrongWithKey({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | undefined {
  if (type === 'ed25519' || type === 'ed448') return undefined;
  if (type === 'ec') {
    const { namedCurve = 'unknown' } = details ?? {};
    return CURVES.includes(namedCurve)
      ? undefined
      : `TLS does not use the curve ${namedCurve}; ${CURVES.join(', ')} fit.`;
  }
  if (type !== 'rsa' && type !== 'rsa-pss') return `TLS does not sign with keys of the type ${String(type)}.`;
  const { modulusLength = 0 } = details ?? {};
  if (modulusLength >= RSA_MIN_BITS && modulusLength <= RSA_MAX_BITS) return undefined;
  return `This RSA key has ${modulusLength} bits; ${RSA_MIN_BITS} to ${RSA_MAX_BITS} are possible, and EC keys are better.`;
}

/** Only what signs shows that a private key is whole: OpenSSL looks at its public half alone. */
function isPair(privateKey: KeyObject, publicKey: KeyObject): boolean {
  const algorithm = privateKey.asymmetricKeyType?.startsWith('ed') === true ? null : 'sha256';
  const message = randomBytes(32);
  try {
    return verify(algorithm, message, publicKey, sign(algorithm, message, privateKey));
  } catch {
    return false;
  }
}

function whatIsWrongWith(one: X509Certificate, issuer: X509Certificate | undefined, nowMs: number): readonly string[] {
  return [
    ...(Date.parse(one.validTo) > nowMs ? [] : [`The certificate of ${nameOf(one)} has expired (${one.validTo}).`]),
    ...(Date.parse(one.validFrom) <= nowMs
      ? []
      : [`The certificate of ${nameOf(one)} is not valid before ${one.validFrom}.`]),
    ...(issuer === undefined || one.checkIssued(issuer)
      ? []
      : [`The certificate of ${nameOf(one)} was not issued by the one that follows it, ${nameOf(issuer)}.`]),
  ];
}

const CLIENT_AUTHENTICATION = '1.3.6.1.5.5.7.3.2';
const ANY_PURPOSE = '2.5.29.37.0';

function whatIsWrongWithUse(leaf: X509Certificate): readonly string[] {
  // Node calls the extended key usage so. Undefined, whatever its types say: there is none, and any use is right.
  const purposes = leaf.keyUsage as readonly string[] | undefined;
  if (purposes === undefined || purposes.includes(CLIENT_AUTHENTICATION) || purposes.includes(ANY_PURPOSE)) return [];
  return [`The certificate of ${nameOf(leaf)} is not meant for clients: its extended key usage lacks clientAuth.`];
}

/** Too short a key, or an algorithm that TLS does not have. */
function whyUnusable({ certificate: cert, privatekey: key }: Pair): readonly Violation[] {
  try {
    createSecureContext({ cert, key });
    return [];
  } catch (error) {
    const { code = 'unknown' } = error as NodeJS.ErrnoException;
    return [wrong('certificate', `OpenSSL would not use it (${code}).`)];
  }
}

function nameOf(certificate: X509Certificate): string {
  const subject = certificate.subject as string | undefined; // there may be none
  return JSON.stringify(subject?.replaceAll('\n', ', ') ?? certificate.fingerprint256).slice(0, 200);
}

function wrong(member: keyof Pair, detail: string): Violation {
  return { rule: 'SA-10', pointer: `/sinkcredential/${member}`, detail };
}
