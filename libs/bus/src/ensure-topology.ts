import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { nuid, PermissionViolationError, type NatsConnection } from '@nats-io/nats-core';
import { setTimeout as delay } from 'node:timers/promises';
import { TopologyError } from './bus-errors.ts';
import type { BusLogger } from './bus-logger.ts';
import { configDifferences, type ConfigDifference } from './config-differences.ts';
import { ensureConsumer, findConsumer } from './ensure-consumer.ts';
import type { Publisher } from './publisher.ts';
import type { Topology, WantedStream } from './topology.ts';

/** The level that 2.12 introduced: schedules. 2.9 has no level field at all. */
const NEEDED_API_LEVEL = 2;
/** An event of 1 MiB on its way to the signer: base64 makes it 1.34 MiB, and its attributes come on top. The server's default of 1 MiB is too small. */
const NEEDED_PAYLOAD_BYTES = 2 * 1024 * 1024;
const SELF_TEST_TIMEOUT_MS = 5_000;
const PROBE_TTL = '5s';
/** Others begin at the same moment; the first start of all makes about forty things. */
const MADE_BY_OTHERS_MS = 60_000;

export interface TopologyTarget {
  readonly nc: NatsConnection;
  readonly jsm: JetStreamManager;
  readonly topology: Topology;
  readonly publisher: Publisher;
  readonly logger: BusLogger;
}

/**
 * Makes streams and consumers what `topology.ts` says, and proves that the server really does what it accepted.
 *
 * Any number of processes may do this at once, and again at every start. 2.9 accepts a stream with schedules, echoes it
 * without and never fires one, so the echo is compared and one schedule is fired.
 *
 * @throws TopologyError with what was found and how to fix it
 */
export async function ensureTopology(bus: TopologyTarget): Promise<void> {
  await checkServer(bus);
  await byWhoMay(bus, `consumer ${bus.topology.consumers.unpartitionedMatcher}`, () => narrowMatcher(bus));
  for (const wanted of bus.topology.streamConfigs()) {
    await byWhoMay(bus, `stream ${wanted.name}`, () => ensureStream(bus, wanted));
  }
  for (const wanted of bus.topology.consumerConfigs()) {
    await byWhoMay(bus, `consumer ${wanted.config.durable_name}`, () => ensureConsumer(bus.jsm, wanted));
  }
  const tookMs = await proveSchedules(bus);
  const { server_name: server, version } = serverOf(bus.nc);
  bus.logger.info(
    { server, version, replicas: bus.topology.options.replicas, selfTestMs: tookMs },
    'nats: streams ready',
  );
}

/**
 * With permissions per service (`deploy/nats`) most of them may only look. What is not there yet is made by one that may: wait
 * for it.
 */
async function byWhoMay(bus: TopologyTarget, what: string, ensure: () => Promise<void>): Promise<void> {
  for (const giveUpAt = Date.now() + MADE_BY_OTHERS_MS; ; await delay(500)) {
    try {
      return await ensure();
    } catch (error) {
      if (!isForbidden(error)) throw error;
      if (Date.now() < giveUpAt) continue;
      const found = `${what} is not there, or is another, and this user may not make it`;
      throw new TopologyError(fatal(bus.nc, undefined, found, 'start the registry, whose user may'), { cause: error });
    }
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof PermissionViolationError || (error instanceof Error && isForbidden(error.cause));
}

async function checkServer(bus: TopologyTarget): Promise<void> {
  const { max_payload: found, version } = serverOf(bus.nc);
  const account = await bus.jsm.getAccountInfo().catch((cause: unknown) => {
    throw new TopologyError(
      fatal(bus.nc, undefined, `JetStream does not answer (${messageOf(cause)})`, 'enable it: nats-server -js'),
      { cause },
    );
  });
  const level = account.api.level;
  if (level === undefined || level < NEEDED_API_LEVEL) {
    throw new TopologyError(
      fatal(bus.nc, level ?? 'none', 'an older server: retries would be stored and never sent', UPGRADE),
    );
  }
  if (found < NEEDED_PAYLOAD_BYTES) {
    throw new TopologyError(
      fatal(
        bus.nc,
        level,
        `max_payload is ${found} bytes, ${NEEDED_PAYLOAD_BYTES} are needed for an event of 1 MiB`,
        'set max_payload: 8MB in its configuration',
      ),
    );
  }
  if (level < 5) bus.logger.warn({ version, level }, 'nats: this server is older than 2.15, the only release tested');
}

/**
 * Of an installation from before partitions: from the moment EVENTS is updated, this consumer must not take what those of the
 * partitions take as well.
 */
async function narrowMatcher({ jsm, topology }: TopologyTarget): Promise<void> {
  const { unpartitionedMatcher: name } = topology.consumers;
  const wanted = topology.consumerConfigs().find(({ config }) => config.durable_name === name);
  if (wanted !== undefined && (await findConsumer(jsm, wanted)) !== undefined) await ensureConsumer(jsm, wanted);
}

/** Creates or updates one stream and compares what the server echoes. Losing a race against another process is fine. */
async function ensureStream(bus: TopologyTarget, wanted: WantedStream): Promise<void> {
  const { jsm, nc } = bus;
  const current = (await findStream(jsm, wanted.name)) ?? (await addStream(bus, wanted));
  const echoed = configDifferences(wanted, current).length === 0 ? current : await updateStream(bus, wanted);
  const differences = configDifferences(wanted, echoed);
  if (differences.length > 0) {
    const fix = differences.some(({ field }) => field.startsWith('allow_msg')) ? UPGRADE : RECREATE;
    throw new TopologyError(
      fatal(nc, undefined, `stream ${wanted.name}: ${differences.map(describe).join('; ')}`, fix),
    );
  }
}

async function findStream(jsm: JetStreamManager, name: string): Promise<object | undefined> {
  try {
    return (await jsm.streams.info(name)).config;
  } catch (error) {
    if (isApiError(error, JetStreamApiCodes.StreamNotFound)) return undefined;
    throw error;
  }
}

async function addStream({ jsm, nc }: TopologyTarget, wanted: WantedStream): Promise<object> {
  try {
    return (await jsm.streams.add({ ...wanted })).config;
  } catch (error) {
    if (!isApiError(error, STREAM_NAME_IN_USE)) throw streamRefused(nc, wanted.name, error);
    return (await jsm.streams.info(wanted.name)).config;
  }
}

async function updateStream({ jsm, nc, logger }: TopologyTarget, wanted: WantedStream): Promise<object> {
  logger.info({ stream: wanted.name }, 'nats: updating the configuration of a stream');
  const updated = await jsm.streams.update(wanted.name, { ...wanted }).catch((error: unknown) => {
    throw streamRefused(nc, wanted.name, error);
  });
  return updated.config;
}

/** Fires one schedule that is already due (the server looks every 250 ms). Answers how long it took, ms. */
async function proveSchedules({ jsm, nc, topology, publisher }: TopologyTarget): Promise<number> {
  const stream = topology.streams.RETRIES;
  const { at, due } = topology.probeSubjects(nuid.next());
  const start = Date.now();
  await publisher.publish(at, new Uint8Array(), {
    headers: [
      ['Nats-Schedule', `@at ${new Date(start).toISOString()}`],
      ['Nats-Schedule-Target', due],
      // They go by themselves: who may remove messages of RETRIES could remove all of them.
      ['Nats-Schedule-TTL', PROBE_TTL],
      ['Nats-TTL', PROBE_TTL],
    ],
  });
  while (Date.now() - start < SELF_TEST_TIMEOUT_MS) {
    if (await isStored(jsm, stream, due)) return Date.now() - start;
    await delay(50);
  }
  throw new TopologyError(
    fatal(
      nc,
      undefined,
      `stream ${stream} took a scheduled message and did not fire it within ${SELF_TEST_TIMEOUT_MS} ms`,
      UPGRADE,
    ),
  );
}

async function isStored(jsm: JetStreamManager, stream: string, subject: string): Promise<boolean> {
  const { state } = await jsm.streams.info(stream, { subjects_filter: subject });
  return state.subjects?.[subject] !== undefined;
}

function describe({ field, wanted, found }: ConfigDifference): string {
  const was = found === undefined ? 'came back unset' : `is ${JSON.stringify(found)}`;
  const meaning = field === 'allow_msg_schedules' ? ': retries would be stored and never sent' : '';
  return `${field} ${was}, not ${JSON.stringify(wanted)}${meaning}`;
}

const STREAM_NAME_IN_USE = 10058;
const UPGRADE = 'upgrade nats-server (Debian bookworm ships 2.9.10; use the upstream package or image nats:2.15)';
const RECREATE =
  'the server cannot change this on an existing stream: copy what matters, delete the stream and start again, or use another POSTHASTE_DEPLOYMENT';

function isApiError(error: unknown, code: number): boolean {
  return error instanceof JetStreamApiError && error.code === code;
}

function streamRefused(nc: NatsConnection, name: string, cause: unknown): Error {
  if (!(cause instanceof JetStreamApiError)) return cause instanceof Error ? cause : new Error(String(cause));
  return new TopologyError(fatal(nc, undefined, `stream ${name} was refused: ${cause.message}`, RECREATE), { cause });
}

/** Text of the one error that an operator has to read. */
function fatal(nc: NatsConnection, apiLevel: number | 'none' | undefined, found: string, fix: string): string {
  const { server_name: server, version } = serverOf(nc);
  const level = apiLevel === undefined ? '' : ` (JetStream API level ${apiLevel})`;
  return [
    `FATAL nats: server ${server} ${version} at ${nc.getServer()}${level} cannot run this service.`,
    `  needs: nats-server >= 2.12 (API level ${NEEDED_API_LEVEL}) for scheduled messages (retries); 2.15.1+ recommended.`,
    `  found: ${found}`,
    `  fix:   ${fix}`,
  ].join('\n');
}

function serverOf(nc: NatsConnection): { server_name: string; version: string; max_payload: number } {
  return nc.info ?? { server_name: '(unknown)', version: '(unknown)', max_payload: 0 };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
