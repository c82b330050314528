import { randomUUID } from 'node:crypto';
import { generate } from 'selfsigned';

/** A private key and its certificate, PEM. */
export interface KeyAndCertificate {
  readonly key: string;
  readonly cert: string;
}

/** An authority that exists for one test run: nothing trusts it unless told to. */
export interface TestAuthority {
  /** To be trusted by whoever calls the servers that it vouches for. */
  readonly certPem: string;
  issue(options?: IssueOptions): Promise<KeyAndCertificate>;
}

export interface IssueOptions {
  /** DNS names and addresses. Default: `localhost`, `127.0.0.1`, `::1`. */
  readonly hosts?: readonly string[];
  /** Default: tomorrow. A past instant gives an expired certificate. */
  readonly notAfter?: Date;
  /** Whom it identifies. Default: a server. */
  readonly purpose?: 'server' | 'client';
  /** Default: two days before {@link notAfter}. A coming instant gives a certificate that is not valid yet. */
  readonly notBefore?: Date;
}

const DAY_MS = 86_400_000;
const EC = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;

export async function makeTestAuthority(): Promise<TestAuthority> {
  const authority = await generate([{ name: 'commonName', value: `Posthaste test authority ${randomUUID()}` }], {
    ...EC,
    notBeforeDate: new Date(Date.now() - 30 * DAY_MS),
    notAfterDate: new Date(Date.now() + DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  const ca = { key: authority.private, cert: authority.cert };
  return {
    certPem: authority.cert,
    async issue(options = {}) {
      const { hosts = ['localhost', '127.0.0.1', '::1'], purpose = 'server' } = options;
      const { notAfter = new Date(Date.now() + DAY_MS) } = options;
      const issued = await generate([{ name: 'commonName', value: hosts[0] ?? 'nobody' }], {
        ...EC,
        ca,
        notBeforeDate: options.notBefore ?? new Date(notAfter.getTime() - 2 * DAY_MS),
        notAfterDate: notAfter,
        extensions: [
          { name: 'extKeyUsage', ...(purpose === 'client' ? { clientAuth: true } : { serverAuth: true }) },
          { name: 'subjectAltName', altNames: hosts.map(toAltName) },
        ],
      });
      return { key: issued.private, cert: issued.cert };
    },
  };
}

/** A certificate that vouches for itself. */
export async function makeSelfSigned(): Promise<KeyAndCertificate> {
  const issued = await generate([{ name: 'commonName', value: 'localhost' }], EC);
  return { key: issued.private, cert: issued.cert };
}

function toAltName(host: string): { type: 2; value: string } | { type: 7; ip: string } {
  return /^[\d.]+$|:/.test(host) ? { type: 7, ip: host } : { type: 2, value: host };
}
