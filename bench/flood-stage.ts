import { connectBus, type Bus } from '#bus/connection';
import { consumeEach } from '#bus/consume';
import { ensureTopology } from '#bus/ensure-topology';
import { decodeDeliveryTask } from '#contracts/bus/delivery-task-codec';
import type { RegistryRecord } from '#contracts/bus/registry-record';
import { makeSubscriptionId, type SubscriptionId, type TenantId } from '#core/ids';
import { aSpec } from '#testkit/a-subscription';
import { startNats } from '#testkit/nats';
import { spawnService } from '#testkit/processes';
import { silentLogger } from '#testkit/test-bus';
import { BENCH_TYPE, benchEvent } from './bench-event.ts';
import { until } from './scenario.ts';

/** A tenant with one subscription, which every event of it is for. */
export interface FloodTenant {
  readonly tenant: TenantId;
  readonly subscription: SubscriptionId;
}

/** A nats-server and matchers, and nobody who takes what they make. */
export interface FloodStage {
  readonly bus: Bus;
  readonly natsUrl: string;
  pids(): Readonly<Record<string, number>>;
  /** Deliveries that are stored for it. */
  storedCount(tenant: FloodTenant): Promise<number>;
  /** Publishes one event, straight onto NATS. Resolves when it is stored. */
  publish(tenant: FloodTenant): Promise<void>;
  /** Milliseconds from {@link publish} until the delivery was stored, of all since the last call, when all are. */
  latenciesMs(): Promise<ReadonlyMap<SubscriptionId, readonly number[]>>;
  stop(): Promise<void>;
}

const headers = [['content-type', 'application/cloudevents+json']] as const;

/**
 * @param names the first is only counted, the others are watched
 */
export async function startFloodStage(
  names: readonly string[],
  matchers: number,
): Promise<{ readonly stage: FloodStage; readonly tenants: readonly FloodTenant[] }> {
  const nats = await startNats();
  const bus = await connectBus({ servers: nats.url, name: 'bench', logger: silentLogger });
  await ensureTopology(bus);
  const tenants = await Promise.all(names.map((name, i) => register(bus, name, i)));
  const env = { POSTHASTE_HTTP_HOST: '127.0.0.1', POSTHASTE_NATS_URL: nats.url };
  const services = await Promise.all(
    Array.from({ length: matchers }, (_, i) => spawnService({ name: `matcher-${i + 1}`, app: 'matcher', env })),
  );
  const watch = watchDeliveries(bus);
  const stage: FloodStage = {
    bus,
    natsUrl: nats.url,
    pids: () => ({ ...Object.fromEntries(services.map(({ name, pid }) => [name, pid])), nats: nats.pid }),
    ...watch,
    storedCount: (tenant) => countStored(bus, tenant),
    async stop() {
      await watch.stop();
      await Promise.all(services.map((service) => service.stop()));
      await bus.close();
      await nats.stop();
    },
  };
  return { stage, tenants };
}

/** Who watches takes what is in the partition of a subscription: the first has one of its own. */
async function register(bus: Bus, name: string, number: number): Promise<FloodTenant> {
  const tenant = name as TenantId;
  const id = subscriptionIn(bus, number === 0 ? COUNTED : WATCHED, number);
  const created = { kind: 'TenantCreated', id: tenant, name, atMs: 1, by: 'bench' } as const;
  await append(bus, { aggregate: 'tenant', id: tenant, tenant, event: created });
  const spec = aSpec({ types: [BENCH_TYPE] });
  const subscribed = { kind: 'SubscriptionCreated', id, tenant, spec, atMs: 1, by: 'bench' } as const;
  await append(bus, { aggregate: 'subscription', id, tenant, event: subscribed });
  return { tenant, subscription: id };
}

const COUNTED = 0;
const WATCHED = 1;

function subscriptionIn({ topology }: Bus, partition: number, number: number): SubscriptionId {
  for (let ms = 1000 * number; ; ms++) {
    const id = makeSubscriptionId(ms, new Uint8Array(10));
    if (topology.partitionOf(id) === partition) return id;
  }
}

async function append({ topology, publisher }: Bus, record: RegistryRecord): Promise<void> {
  const subject = topology.registrySubject(record.tenant, record.aggregate, record.id);
  await publisher.publish(subject, Buffer.from(JSON.stringify(record)));
}

function watchDeliveries(bus: Bus): Pick<FloodStage, 'publish' | 'latenciesMs' | 'stop'> {
  const { topology, publisher } = bus;
  const publishedAtMs = new Map<number, { readonly atMs: number; readonly subscription: SubscriptionId }>();
  const storedAtMs = new Map<number, number>();
  let published = 0;
  const source = { stream: topology.streams.DELIVERIES, consumer: topology.consumers.fresh[WATCHED] ?? '', slots: 64 };
  const consuming = consumeEach(bus, source, (message) => {
    storedAtMs.set(decodeDeliveryTask(message.data).eventSeq, message.timestampMs);
    message.ack();
    return Promise.resolve();
  });
  return {
    async publish({ tenant, subscription }) {
      const body = Buffer.from(benchEvent(BENCH_TYPE, tenant, published++, 0));
      const atMs = Date.now();
      const { seq } = await publisher.publish(topology.eventSubject(tenant, BENCH_TYPE), body, { headers });
      publishedAtMs.set(seq, { atMs, subscription });
    },
    async latenciesMs() {
      await until(() => Promise.resolve(storedAtMs.size >= publishedAtMs.size), 600_000);
      const latencies = new Map<SubscriptionId, number[]>();
      for (const [seq, { atMs, subscription }] of publishedAtMs) {
        const all = latencies.get(subscription) ?? [];
        all.push((storedAtMs.get(seq) ?? Number.NaN) - atMs);
        latencies.set(subscription, all);
      }
      publishedAtMs.clear();
      storedAtMs.clear();
      return latencies;
    },
    stop: () => consuming.stop(),
  };
}

async function countStored({ topology, jsm }: Bus, { tenant, subscription }: FloodTenant): Promise<number> {
  const subjects = [topology.deliverSubject(subscription), topology.bulkSubject(tenant, subscription)];
  const counts = subjects.map(async (subject) => {
    const { state } = await jsm.streams.info(topology.streams.DELIVERIES, { subjects_filter: subject });
    return state.subjects?.[subject] ?? 0;
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}
