import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { NatsExchange } from '#core/delivery/outcome';
import type { AddressGuard } from './address-guard.ts';
import { toExchangeError } from './exchange-error.ts';
import { AddressRefused } from './guarded-connector.ts';
import { NatsFailure, openNatsLink, type NatsLink } from './nats-link.ts';
import { parseNatsSink, type NatsServer } from './nats-sink-url.ts';

type HeaderPair = readonly [string, string];

export interface NatsSinkOptions {
  readonly guard: AddressGuard;
  readonly secureContext: SecureContext;
  /** Name resolution, TCP, TLS and the server's greeting. Default 5000. */
  readonly connectTimeoutMs?: number;
  /** The whole exchange. Default 15 000. */
  readonly totalTimeoutMs?: number;
  /** A connection that nobody used for so long is closed. Default 30 000. */
  readonly idleMs?: number;
  /** Default: the system's resolver. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
}

export interface NatsSinkClient {
  /**
   * Publishes once. Never rejects; whatever happens is a {@link NatsExchange}.
   *
   * @param subject without blanks and wildcards
   * @param headers names exactly as they are to be (NB-4)
   */
  publish(sink: string, subject: string, headers: readonly HeaderPair[], payload: Uint8Array): Promise<NatsExchange>;
  /** Servers that a connection is open to, or being opened. */
  size(): number;
  close(): void;
}

interface Pooled {
  readonly opening: Promise<NatsLink>;
  users: number;
  idleTimer?: NodeJS.Timeout;
}

/**
 * Publishes to the NATS servers of subscribers, under the same guard as the HTTP client: a name is resolved once, each of
 * its addresses is judged, and the connection goes to one of these very addresses.
 *
 * One connection for each server, shared by all tenants: there are no credentials yet. With them, whose they are must
 * become part of the key of the pool.
 */
export function makeNatsSinkClient(options: NatsSinkOptions): NatsSinkClient {
  const { totalTimeoutMs = 15_000, idleMs = 30_000 } = options;
  const pool = new Map<string, Pooled>();

  function borrow(key: string, server: NatsServer): Pooled {
    const known = pool.get(key);
    if (known !== undefined) {
      clearTimeout(known.idleTimer);
      known.users++;
      return known;
    }
    const pooled: Pooled = { opening: open(server, options), users: 1 };
    const forget = (): void => {
      clearTimeout(pooled.idleTimer);
      if (pool.get(key) === pooled) pool.delete(key);
    };
    pool.set(key, pooled);
    pooled.opening.then(({ closed }) => closed.then(forget), forget);
    return pooled;
  }

  function giveBack(pooled: Pooled): void {
    pooled.users--;
    if (pooled.users === 0) pooled.idleTimer = setTimeout(() => drop(pooled), idleMs).unref();
  }

  function drop({ opening }: Pooled): void {
    opening.then(
      (link) => link.close(),
      () => undefined,
    );
  }

  return {
    async publish(sink, subject, headers, payload) {
      const server = parseNatsSink(sink);
      if (server === undefined) {
        return { kind: 'error', error: 'scheme_refused', message: 'A NATS sink must be a nats:// or tls:// URL.' };
      }
      const pooled = borrow(`${server.requiresTls ? 'tls' : 'nats'}://${server.host}:${server.port}`, server);
      const block = encodeHeaders(headers);
      const exchange = await inTime(totalTimeoutMs, async () => {
        await (await pooled.opening).publish(subject, block, payload);
      });
      // What a server that answers too late does with the rest is not to be waited for.
      if (exchange.kind === 'error' && exchange.error === 'timeout') drop(pooled);
      giveBack(pooled);
      return exchange;
    },
    size: () => pool.size,
    close() {
      for (const pooled of pool.values()) drop(pooled);
    },
  };
}

async function inTime(timeoutMs: number, work: () => Promise<void>): Promise<NatsExchange> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.reject(new NatsFailure('timeout', `The server did not take the message in ${timeoutMs} ms.`));
  }, timeoutMs);
  try {
    await Promise.race([work(), late.promise]);
    return { kind: 'published' };
  } catch (error) {
    const exchange = toExchangeError(error);
    return error instanceof NatsFailure ? { ...exchange, error: error.exchangeError } : exchange;
  } finally {
    clearTimeout(timer);
  }
}

function encodeHeaders(headers: readonly HeaderPair[]): Uint8Array {
  const lines = headers.map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`NATS/1.0\r\n${lines.join('')}\r\n`);
}

/** The first address that answers. */
async function open(server: NatsServer, options: NatsSinkOptions): Promise<NatsLink> {
  const { connectTimeoutMs = 5000, secureContext } = options;
  const giveUpAt = performance.now() + connectTimeoutMs;
  let failure: unknown = new NatsFailure('dns', `${server.host} has no address.`);
  for (const address of await guardedAddresses(server.host, options)) {
    const timeoutMs = Math.round(giveUpAt - performance.now());
    if (timeoutMs <= 0) break;
    try {
      return await openNatsLink({ ...server, address, timeoutMs, secureContext });
    } catch (error) {
      failure = error;
    }
  }
  throw failure;
}

/** One refused address among several refuses them all: a name that is half inside is an attack or a mistake. */
async function guardedAddresses(host: string, { guard, resolve = resolveAll }: NatsSinkOptions) {
  const addresses = isIP(host) === 0 ? await resolve(host) : [host];
  for (const address of addresses) {
    const why = guard(address);
    const what = address === host ? host : `${host} resolves to ${address}, which`;
    if (why !== undefined) throw new AddressRefused(what, why);
  }
  return addresses;
}

async function resolveAll(host: string): Promise<readonly string[]> {
  return (await lookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address);
}
