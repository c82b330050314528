import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Cluster } from '#testkit/cluster';
import { eventually } from '#testkit/eventually';
import type { Sink, SinkOptions } from '#testkit/sink-server';
import { callApi, type TenantClient } from '#testkit/tenant-client';
import { startTrial, type Trial, type TrialOptions } from './engine-trial.ts';
import { fence } from './fence.ts';
import { startStage } from './stage.ts';

/** What was in the hands of a killed process comes back after this; 60 s in production would make these slow tests. */
export const ACK_WAIT_SECONDS = 4;
const SINK_TIMEOUT_SECONDS = 3;

export const WORKERS = ['delivery-1', 'delivery-2', 'delivery-3'];

/** A cluster whose delivery workers say who they are by their User-Agent, and sinks. */
export interface EngineStage {
  readonly cluster: Cluster;
  readonly client: TenantClient;
  sink(options?: SinkOptions): Promise<Sink>;
  /** A subscription to one type of its own, with a sink of its own. */
  trial(options?: TrialOptions): Promise<Trial>;
  /** See {@link fence}, for all workers. */
  fence(): Promise<void>;
  /** Resolves when every worker knows of so many open circuits: each hears of them on its own. */
  circuitsAreKnown(count: number): Promise<void>;
  /** SIGKILL to each, at once, and new ones in their places. */
  crash(...workers: readonly string[]): Promise<void>;
  /** Consumers of the stream of lanes: there are none, however many lanes there are. */
  laneConsumers(): Promise<number>;
  stop(): Promise<void>;
}

/** @param ackWaitSeconds default {@link ACK_WAIT_SECONDS} */
export async function startEngineStage(ackWaitSeconds = ACK_WAIT_SECONDS): Promise<EngineStage> {
  const stage = await startStage({
    delivery: WORKERS.length,
    matcher: 2,
    env: {
      POSTHASTE_ACK_WAIT_SECONDS: String(ackWaitSeconds),
      POSTHASTE_SINK_TIMEOUT_SECONDS: String(SINK_TIMEOUT_SECONDS),
    },
    envOf: (name) => ({ POSTHASTE_USER_AGENT: name }),
  });
  const { cluster } = stage;
  const nc = await connect({ servers: cluster.natsUrl, maxReconnectAttempts: -1 });
  const jsm = await jetstreamManager(nc);
  const client = await cluster.createTenantWithKey();
  return {
    cluster,
    client,
    sink: stage.sink,
    trial: (options) => startTrial({ sink: stage.sink, client, jsm }, options),
    fence: () => fence(stage, WORKERS.length),
    async circuitsAreKnown(count) {
      await eventually(async () => {
        const metrics = await Promise.all(
          WORKERS.map((name) => callApi('GET', `${cluster.service(name).url}/metrics`)),
        );
        return metrics.every(({ text }) => Number(/^posthaste_circuits_open (\d+)$/m.exec(text)?.[1]) >= count);
      });
    },
    async crash(...workers) {
      await Promise.all(workers.map((name) => cluster.kill(name)));
      await Promise.all(workers.map((name) => cluster.restart(name)));
    },
    laneConsumers: async () => (await jsm.streams.info('LANES')).state.consumer_count,
    async stop() {
      await nc.close();
      await stage.stop();
    },
  };
}
