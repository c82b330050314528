import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { keepLatest } from '#platform/keep-latest';
import type { AddressGuard } from './address-guard.ts';

/** All addresses of a name, in the order in which they are to be tried. Rejects with a system error (`ENOTFOUND` …). */
export type Resolve = (host: string) => Promise<readonly LookupAddress[]>;

export interface GuardedResolveOptions {
  readonly guard: AddressGuard;
  /** One of {@link makeSharedResolve}. Default: one of its own. */
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
export function makeGuardedResolve({ guard, resolve = makeSharedResolve() }: GuardedResolveOptions): Resolve {
  return async (host) => {
    const family = isIP(host);
    const addresses = family === 0 ? await resolve(host) : [{ address: host, family }];
    if (addresses.length === 0) throw new NoAddress(host);
    for (const { address } of addresses) {
      const why = guard(address);
      // Tenants read it: what an inner name resolves to is not for them.
      if (why !== undefined) throw new AddressRefused(`${host} ${family === 0 ? 'resolves to' : 'is'} ${why}.`);
    }
    return addresses;
  };
}

/**
 * A resolver for many who ask for the same names, so that the silence of one name server does not become that of all.
 *
 * @param resolve default: the system's (`/etc/hosts`, then DNS)
 */
export function makeSharedResolve(resolve: Resolve = resolveBySystem): Resolve {
  return withLastAnswers(coalesced(resolve));
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

/** Who is not answered for so long gets the last answer. */
const PATIENCE_MS = 1000;
const LAST_ANSWER_MAX_AGE_MS = 3_600_000;
const LAST_ANSWERS_MAX = 10_000;

/**
 * Two of libuv's threads are all that `getaddrinfo` may have: with two names of silent name servers in them, every other name
 * waits as well (5.4 s with twenty such names, measured: a failed attempt for sinks that have no fault). So a name that was
 * answered within the hour is not waited for long. Its last answer is judged like a new one, and the new one is taken when it comes.
 */
function withLastAnswers(resolve: Resolve): Resolve {
  const last = new Map<string, { readonly addresses: readonly LookupAddress[]; readonly atMs: number }>();
  return async (host) => {
    const asks = resolve(host).then((addresses) => {
      keepLatest(last, host, { addresses, atMs: performance.now() }, LAST_ANSWERS_MAX);
      return addresses;
    });
    const known = last.get(host);
    if (known === undefined || performance.now() - known.atMs > LAST_ANSWER_MAX_AGE_MS) return asks;
    let timer: NodeJS.Timeout | undefined;
    const impatient = new Promise<readonly LookupAddress[]>((settle) => {
      timer = setTimeout(() => {
        settle(known.addresses);
      }, PATIENCE_MS);
    });
    try {
      return await Promise.race([asks, impatient]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** The sink's address is inside, or not one that a sink can have. Thrown before anything is sent. */
export class AddressRefused extends Error {
  readonly code = 'outbound.address_refused';
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
