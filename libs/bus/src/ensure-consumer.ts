import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { configDifferences } from './config-differences.ts';
import type { WantedConsumer } from './topology.ts';

const NOT_FOUND: readonly number[] = [JetStreamApiCodes.ConsumerNotFound, JetStreamApiCodes.StreamNotFound];
const EXISTS_OTHERWISE: readonly number[] = [10013, 10148];

/** Creates a durable consumer, or changes one that is there with another configuration. Safe to race. */
export async function ensureConsumer(jsm: JetStreamManager, { stream, config }: WantedConsumer): Promise<void> {
  const found = await findConsumer(jsm, { stream, config });
  // Who may not make consumers may still ask.
  if (found !== undefined && configDifferences(config, found).length === 0) return;
  try {
    await jsm.consumers.add(stream, { ...config });
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || !EXISTS_OTHERWISE.includes(error.code)) throw error;
    await jsm.consumers.update(stream, config.durable_name, { ...config });
  }
}

/** Its configuration; undefined when it, or its stream, is not there. */
export async function findConsumer(
  jsm: JetStreamManager,
  { stream, config }: WantedConsumer,
): Promise<object | undefined> {
  try {
    return (await jsm.consumers.info(stream, config.durable_name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && NOT_FOUND.includes(error.code)) return undefined;
    throw error;
  }
}
