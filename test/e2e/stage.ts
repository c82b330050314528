import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTestAuthority } from '#testkit/certificates';
import { startCluster, type Cluster, type ClusterOptions } from '#testkit/cluster';
import { startSink, type Sink, type SinkOptions } from '#testkit/sink-server';

/** A cluster, and sinks that it trusts. */
export interface Stage {
  readonly cluster: Cluster;
  /** Ends with the stage. */
  sink(options?: SinkOptions): Promise<Sink>;
  stop(): Promise<void>;
}

export async function startStage(options: Omit<ClusterOptions, 'caFile'> = {}): Promise<Stage> {
  const directory = await mkdtemp(join(tmpdir(), 'posthaste-stage-'));
  const caFile = join(directory, 'ca.pem');
  const authority = await makeTestAuthority();
  await writeFile(caFile, authority.certPem);
  const certificate = await authority.issue();
  const cluster = await startCluster({ ...options, caFile });
  const sinks: Sink[] = [];
  return {
    cluster,
    async sink(sinkOptions = {}) {
      const sink = await startSink({ certificate, ...sinkOptions });
      sinks.push(sink);
      return sink;
    },
    async stop() {
      try {
        await cluster.stop();
      } finally {
        await Promise.all([...sinks.map((sink) => sink.stop()), rm(directory, { recursive: true, force: true })]);
      }
    },
  };
}
