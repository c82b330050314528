import { jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import {
  AuthorizationError,
  UserAuthenticationExpiredError,
  type NatsConnection,
  type Status,
} from '@nats-io/nats-core';
import { connect, type NodeConnectionOptions } from '@nats-io/transport-node';
import { CredentialsRefused } from './bus-errors.ts';
import type { BusLogger } from './bus-logger.ts';
import { inboxPrefixOf } from './inbox.ts';
import { recogniseOwnAppends } from './own-append.ts';
import { makePublisher, type Publisher } from './publisher.ts';
import { makeTopology, type Topology, type TopologyOptions } from './topology.ts';

/** One connection to NATS and what everybody needs of it. */
export interface Bus {
  readonly nc: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly topology: Topology;
  readonly publisher: Publisher;
  readonly logger: BusLogger;
  isConnected(): boolean;
  /** Calls `listener` after every reconnect; answers how to end that. */
  onReconnect(listener: () => void): () => void;
  /** Calls `listener` when the connection is lost; answers how to end that. */
  onDisconnect(listener: () => void): () => void;
  /** Call it last: it fails publishes that are not confirmed and does not wait for handlers ({@link Consuming.stop} does). */
  close(): Promise<void>;
}

export interface BusOptions {
  /** One or more URLs, comma-separated: `nats://[user:password@|token@]host:port`, `tls://…`. */
  readonly servers: string;
  /** Name of the connection, as `nats server report connections` shows it; of its inboxes, too, when `servers` names no user. */
  readonly name: string;
  readonly deployment?: string;
  readonly topology?: Partial<TopologyOptions>;
  readonly logger: BusLogger;
  /** How long to wait for a first connection before the log says so; it goes on trying for ever. Default 3 s. */
  readonly patienceMs?: number;
}

/**
 * Connects and never gives up: an outage of any length ends by itself, for the process and for its consumers.
 *
 * @throws CredentialsRefused by the first server that answers; from one that knew them before, that is an outage as well
 */
export async function connectBus(options: BusOptions): Promise<Bus> {
  const { logger } = options;
  const deployment = options.deployment === undefined ? {} : { deployment: options.deployment };
  const topology = makeTopology({ ...options.topology, ...deployment });
  const connection = connectionOptions(options.servers, options.name);
  const waiting = setTimeout(() => {
    logger.warn({ servers: connection.servers }, 'nats: no server answers yet; still trying');
  }, options.patienceMs ?? 3_000);
  const nc = await open(connection).finally(() => {
    clearTimeout(waiting);
  });
  const js = jetstream(nc, { timeout: 3_000 });
  const jsm = await jetstreamManager(nc, { timeout: 3_000, checkAPI: false });
  const publisher = makePublisher(nc, logger);
  const reconnectListeners = new Set<() => void>([() => publisher.resend()]);
  const disconnectListeners = new Set<() => void>();
  let connected = true;
  void followStatus(nc, logger, (status) => {
    if (status.type !== 'disconnect' && status.type !== 'reconnect') return;
    connected = status.type === 'reconnect';
    for (const listener of connected ? reconnectListeners : disconnectListeners) runListener(listener, logger);
  });
  void nc.closed().then((err) => {
    if (err instanceof Error) logger.error({ err }, 'nats: the connection is closed for good');
  });
  return {
    nc,
    js,
    jsm,
    topology,
    publisher: recogniseOwnAppends(publisher, jsm),
    logger,
    isConnected: () => connected && !nc.isClosed(),
    onReconnect(listener) {
      reconnectListeners.add(listener);
      return () => reconnectListeners.delete(listener);
    },
    onDisconnect(listener) {
      disconnectListeners.add(listener);
      return () => disconnectListeners.delete(listener);
    },
    async close() {
      publisher.close();
      if (!nc.isClosed()) await nc.close();
    },
  };
}

/**
 * The client closes for good when it is refused twice in its life, months apart or not, and can not be told only after it has
 * connected: so one connection finds out whether the credentials are right, and another one stays.
 */
async function open(options: NodeConnectionOptions): Promise<NatsConnection> {
  try {
    await (await connect(options)).close();
  } catch (cause) {
    if (!isRefusal(cause)) throw cause;
    const servers = [options.servers].flat().join(', ');
    throw new CredentialsRefused(
      `NATS at ${servers} refuses the credentials. Put the right user and password, or token, into POSTHASTE_NATS_URL.`,
      { cause },
    );
  }
  return connect({ ...options, ignoreAuthErrorAbort: true });
}

function isRefusal(error: unknown): boolean {
  return error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError;
}

/** The client's defaults give up after 20 s and notice a half-open connection after minutes. */
function connectionOptions(servers: string, name: string): NodeConnectionOptions {
  const urls = servers.split(',').map((server) => new URL(server.trim().replace(/^(?!\w+:\/\/)/, 'nats://')));
  const [first] = urls;
  const user = decodeURIComponent(first?.username ?? '');
  const pass = decodeURIComponent(first?.password ?? '');
  return {
    servers: urls.map(({ hostname, port }) => `${hostname}:${port === '' ? '4222' : port}`),
    name,
    ...(pass === '' ? (user === '' ? {} : { token: user }) : { user, pass }),
    inboxPrefix: inboxPrefixOf(pass === '' ? name : user),
    ...(urls.some(({ protocol }) => protocol === 'tls:') ? { tls: {} } : {}),
    maxReconnectAttempts: -1,
    reconnectTimeWait: 500,
    pingInterval: 10_000,
    maxPingOut: 2,
    waitOnFirstConnect: true,
    timeout: 5_000,
  };
}

/** One that throws must end neither the others nor the loop that all of them hear of the connection by. */
function runListener(listener: () => void, logger: BusLogger): void {
  try {
    listener();
  } catch (err) {
    logger.error({ err }, 'nats: what should happen after a change of the connection failed');
  }
}

async function followStatus(nc: NatsConnection, logger: BusLogger, react: (status: Status) => void): Promise<void> {
  let isRefused = false;
  for await (const status of nc.status()) {
    react(status);
    // It comes with every try to connect, twice a second.
    if (status.type === 'error' && isRefusal(status.error)) {
      if (isRefused) continue;
      isRefused = true;
    }
    if (status.type === 'reconnect') isRefused = false;
    if (status.type === 'disconnect') logger.warn({ server: status.server }, 'nats: disconnected; reconnecting');
    if (status.type === 'reconnect') logger.info({ server: status.server }, 'nats: connected again');
    if (status.type === 'error') logger.error({ err: status.error }, 'nats: the server reports an error');
  }
}
