import type { SecureContext } from 'node:tls';
import type { NatsExchange } from '#core/delivery/outcome';
import type { AddressGuard } from './address-guard.ts';
import { toExchangeError } from './exchange-error.ts';
import { makeGuardedResolve, makeSharedResolve, type Resolve } from './guarded-resolve.ts';
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
  /** A connection older than this is lent no more, so that a change of DNS is followed. Default 60 000. */
  readonly maxAgeMs?: number;
  /** Default: the system's resolver. */
  readonly resolve?: Resolve;
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
  readonly openedAtMs: number;
  users: number;
  idleTimer?: NodeJS.Timeout;
}

/**
 * Publishes to the NATS servers of subscribers, under the same guard as the HTTP client ({@link makeGuardedResolve}): the
 * connection goes to one of the very addresses that were judged. A forward proxy is for HTTP and is not used.
 *
 * One connection for each server, shared by all tenants: there are no credentials yet. With them, whose they are must
 * become part of the key of the pool.
 */
export function makeNatsSinkClient(options: NatsSinkOptions): NatsSinkClient {
  const { guard, totalTimeoutMs = 15_000, idleMs = 30_000, maxAgeMs = 60_000 } = options;
  const pool = new Map<string, Pooled>();
  const resolve = makeGuardedResolve({ guard, resolve: makeSharedResolve(options.resolve) });

  function borrow(key: string, server: NatsServer): Pooled {
    const known = pool.get(key);
    if (known !== undefined && performance.now() - known.openedAtMs <= maxAgeMs) {
      clearTimeout(known.idleTimer);
      known.users++;
      return known;
    }
    if (known !== undefined) retire(key, known);
    const pooled: Pooled = { opening: open(server, options, resolve), openedAtMs: performance.now(), users: 1 };
    const forget = (): void => {
      clearTimeout(pooled.idleTimer);
      if (pool.get(key) === pooled) pool.delete(key);
    };
    pool.set(key, pooled);
    pooled.opening.then(({ closed }) => closed.then(forget), forget);
    return pooled;
  }

  function giveBack(key: string, pooled: Pooled): void {
    pooled.users--;
    if (pooled.users > 0) return;
    if (pool.get(key) === pooled) pooled.idleTimer = setTimeout(() => drop(pooled), idleMs).unref();
    else drop(pooled);
  }

  /** Who uses it finishes; the last one closes it. */
  function retire(key: string, pooled: Pooled): void {
    clearTimeout(pooled.idleTimer);
    pool.delete(key);
    if (pooled.users === 0) drop(pooled);
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
      const key = `${server.requiresTls ? 'tls' : 'nats'}://${server.host}:${server.port}`;
      const pooled = borrow(key, server);
      const block = encodeHeaders(headers);
      const exchange = await inTime(totalTimeoutMs, async () => {
        await (await pooled.opening).publish(subject, block, payload);
      });
      // What a server that answers too late does with the rest is not to be waited for.
      if (exchange.kind === 'error' && exchange.error === 'timeout') drop(pooled);
      giveBack(key, pooled);
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
async function open(server: NatsServer, options: NatsSinkOptions, resolve: Resolve): Promise<NatsLink> {
  const { connectTimeoutMs = 5000, secureContext } = options;
  const giveUpAt = performance.now() + connectTimeoutMs;
  let failure: unknown = new NatsFailure('dns', `${server.host} has no address.`);
  for (const { address } of await resolve(server.host)) {
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
