import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { AddressGuard } from './address-guard.ts';

/** All addresses of a name, in the order in which they are to be tried. Rejects with a system error (`ENOTFOUND` …). */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

export interface GuardedResolveOptions {
  readonly guard: AddressGuard;
  /** Default: the system's resolver (`/etc/hosts`, then DNS). */
  readonly resolve?: Resolve;
}

/**
 * The one way from a name to addresses that may be connected to, for HTTP, proxies and NATS alike. Whoever calls this
 * connects to one of these very answers, so a second, different answer (DNS rebinding) is never asked for.
 *
 * One refused address among several refuses them all: a name that is half inside is an attack or a mistake. An address in
 * place of a name is judged as it is.
 *
 * @returns rejects with {@link AddressRefused}, or the error of the resolver
 */
export function makeGuardedResolve({ guard, resolve = resolveBySystem }: GuardedResolveOptions): Resolve {
  const ask = coalesced(resolve);
  return async (host) => {
    const family = isIP(host);
    const addresses = family === 0 ? await ask(host) : [{ address: host, family }];
    if (addresses.length === 0) throw new NoAddress(host);
    for (const { address } of addresses) {
      const why = guard(address);
      if (why !== undefined)
        throw new AddressRefused(family === 0 ? `${host} resolves to ${address}, which` : host, why);
    }
    return addresses;
  };
}

function resolveBySystem(host: string): Promise<readonly LookupAddress[]> {
  return lookup(host, { all: true, order: 'verbatim' });
}

/**
 * While a name is being resolved, others who want it wait for the same answer: `getaddrinfo` holds one of libuv's four
 * threads for seconds when a name server is dead, and a hundred connections to one sink would take them all.
 */
function coalesced(resolve: Resolve): Resolve {
  const asking = new Map<string, Promise<readonly LookupAddress[]>>();
  return (host) => {
    const asked = asking.get(host);
    if (asked !== undefined) return asked;
    const asks = resolve(host).finally(() => asking.delete(host));
    asking.set(host, asks);
    return asks;
  };
}

/** The sink's address is inside, or not one that a sink can have. Thrown before anything is sent. */
export class AddressRefused extends Error {
  readonly code = 'outbound.address_refused';

  constructor(what: string, why: string) {
    super(`${what} is ${why}.`);
  }
}

/** The resolver answered, but with nothing to connect to. */
class NoAddress extends Error {
  readonly code = 'ENODATA';
  readonly hostname: string;

  constructor(host: string) {
    super(`${host} has no address.`);
    this.hostname = host;
  }
}
