import { JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import type { WantedConsumer } from './topology.ts';

const EXISTS_OTHERWISE: readonly number[] = [10013, 10148];

/** Creates a durable consumer, or changes one that is there with another configuration. Safe to race. */
export async function ensureConsumer(jsm: JetStreamManager, { stream, config }: WantedConsumer): Promise<void> {
  try {
    await jsm.consumers.add(stream, { ...config });
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || !EXISTS_OTHERWISE.includes(error.code)) throw error;
    await jsm.consumers.update(stream, config.durable_name, { ...config });
  }
}
