import { AckPolicy, jetstreamManager, RetentionPolicy } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { startNats } from '#testkit/nats';
import { BENCH_TYPE } from './bench-event.ts';
import { startChild } from './child.ts';
import type { RunFigures } from './measure.ts';
import type { BenchOptions } from './options.ts';
import { runScenario, until } from './scenario.ts';
import type { BenchSink } from './start-sink.ts';

const STREAM = 'BARE';
const CONSUMER = 'worker';
const SUBJECT = 'bare.event';

/** Scenario `bare`: one process that pulls from JetStream, posts and acknowledges; no signature, no retry, no record. */
export async function runBare(
  options: BenchOptions,
  sink: BenchSink,
  say: (line: string) => void,
): Promise<readonly RunFigures[]> {
  const nats = await startNats();
  // It is in a process group of its own: Ctrl-C reaches only us.
  const killNats = () => process.kill(nats.pid, 'SIGINT');
  process.once('exit', killNats);
  const nc = await connect({ servers: nats.url });
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: STREAM, subjects: [SUBJECT], retention: RetentionPolicy.Workqueue });
  await jsm.consumers.add(STREAM, { durable_name: CONSUMER, ack_policy: AckPolicy.Explicit, max_ack_pending: 1024 });
  const { child: worker } = await startChild('bare-worker', {
    natsUrl: nats.url,
    stream: STREAM,
    consumer: CONSUMER,
    sinkUrl: sink.urls[0],
    ...(sink.caFile === undefined ? {} : { caFile: sink.caFile }),
  });
  const { child: producer } = await startChild('producer', {
    kind: 'nats',
    types: [BENCH_TYPE],
    natsUrl: nats.url,
    subjects: [SUBJECT],
  });
  try {
    const isDone = async () => (await jsm.streams.info(STREAM)).state.messages === 0;
    return await runScenario(
      'bare',
      {
        producer,
        sink: sink.child,
        pids: () => ({ worker: worker.pid, nats: nats.pid }),
        settled: () => until(isDone, 30_000),
      },
      options,
      say,
    );
  } finally {
    await Promise.all([worker.stop(), producer.stop(), nc.close()]);
    process.off('exit', killNats);
    await nats.stop();
  }
}
