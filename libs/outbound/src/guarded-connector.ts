import { lookup as dnsLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { buildConnector } from 'undici';
import type { AddressGuard } from './address-guard.ts';

type LookupCallback = (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void;
type Resolve = (hostname: string, callback: LookupCallback) => void;

export interface ConnectorOptions {
  readonly guard: AddressGuard;
  readonly connectTimeoutMs: number;
  readonly secureContext: SecureContext;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
}

/**
 * Opens connections only to addresses that the guard lets through. The name is resolved once and the socket connects to
 * that very answer, so a second, different answer (DNS rebinding) is never asked for. One refused address among several
 * refuses them all: a name that is half inside is an attack or a mistake.
 */
export function makeGuardedConnector(options: ConnectorOptions): buildConnector.connector {
  const { guard, connectTimeoutMs, secureContext, resolve = coalesced(resolveAll) } = options;
  const connect = buildConnector({
    timeout: connectTimeoutMs,
    allowH2: false,
    // One context for all: with `ca` in the options Node would parse all 265 roots for every connection (18 ms).
    secureContext,
    autoSelectFamily: true,
    lookup: guardedLookup(guard, resolve),
  });
  return (target, callback) => {
    const host = target.hostname.replace(/^\[(.*)\]$/, '$1');
    const why = isIP(host) === 0 ? undefined : guard(host); // an address is connected to without a lookup
    if (why === undefined) {
      connect(target, callback);
      return;
    }
    queueMicrotask(() => {
      callback(new AddressRefused(host, why), null);
    });
  };
}

function guardedLookup(guard: AddressGuard, resolve: Resolve) {
  return (
    hostname: string,
    options: LookupOptions,
    callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
  ): void => {
    resolve(hostname, (error, addresses) => {
      if (error !== null) {
        callback(error, []);
        return;
      }
      const refused = firstRefused(hostname, addresses, guard);
      const [first] = addresses;
      if (refused !== undefined) callback(refused, []);
      else if (options.all === true) callback(null, addresses);
      else callback(null, first?.address ?? '', first?.family);
    });
  };
}

function firstRefused(hostname: string, addresses: readonly LookupAddress[], guard: AddressGuard): Error | undefined {
  for (const { address } of addresses) {
    const why = guard(address);
    if (why !== undefined) return new AddressRefused(`${hostname} resolves to ${address}, which`, why);
  }
  return undefined;
}

function resolveAll(hostname: string, callback: LookupCallback): void {
  dnsLookup(hostname, { all: true, order: 'verbatim' }, callback);
}

/**
 * While a name is being resolved, others who want it wait for the same answer: `getaddrinfo` holds one of libuv's four
 * threads for seconds when a name server is dead, and a hundred connections to one sink would take them all.
 */
function coalesced(resolve: Resolve): Resolve {
  const waiting = new Map<string, LookupCallback[]>();
  return (hostname, callback) => {
    const others = waiting.get(hostname);
    if (others !== undefined) {
      others.push(callback);
      return;
    }
    const callbacks = [callback];
    waiting.set(hostname, callbacks);
    resolve(hostname, (error, addresses) => {
      waiting.delete(hostname);
      for (const one of callbacks) one(error, addresses);
    });
  };
}

/** The sink's address is inside, or not one that a sink can have. Thrown before anything is sent. */
export class AddressRefused extends Error {
  readonly code = 'outbound.address_refused';

  constructor(what: string, why: string) {
    super(`${what} is ${why}.`);
  }
}

/**
 * TLS 1.2 and newer, verified against the roots that Node trusts, and a file's besides.
 *
 * @throws when the file can not be read or holds no certificate
 */
export function makeSecureContext(caFile?: string): SecureContext {
  const extra = caFile === undefined ? [] : [readFileSync(caFile, 'utf8')];
  return createSecureContext({ minVersion: 'TLSv1.2', ca: [...getCACertificates('default'), ...extra] });
}
