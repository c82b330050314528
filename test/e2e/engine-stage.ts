import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { Cluster } from '#testkit/cluster';
import type { Sink, SinkOptions } from '#testkit/sink-server';
import type { TenantClient } from '#testkit/tenant-client';
import { startTrial, type Trial, type TrialOptions } from './engine-trial.ts';
import { startStage } from './stage.ts';

/** What was in the hands of a killed process comes back after this; 60 s in production would make these slow tests. */
export const ACK_WAIT_SECONDS = 4;
const SINK_TIMEOUT_SECONDS = 2;

export const WORKERS = ['delivery-1', 'delivery-2', 'delivery-3'];

/** A cluster whose delivery workers say who they are by their User-Agent, and sinks. */
export interface EngineStage {
  readonly cluster: Cluster;
  readonly client: TenantClient;
  sink(options?: SinkOptions): Promise<Sink>;
  /** A subscription to one type of its own, with a sink of its own. */
  trial(options?: TrialOptions): Promise<Trial>;
  /** SIGKILL to each, at once, and new ones in their places. */
  crash(...workers: readonly string[]): Promise<void>;
  /** Consumers of the stream of lanes: there are none, however many lanes there are. */
  laneConsumers(): Promise<number>;
  stop(): Promise<void>;
}

export async function startEngineStage(): Promise<EngineStage> {
  const stage = await startStage({
    delivery: WORKERS.length,
    matcher: 2,
    env: {
      POSTHASTE_ACK_WAIT_SECONDS: String(ACK_WAIT_SECONDS),
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
