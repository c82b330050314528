import { JetStreamApiCodes, JetStreamApiError, type JetStreamManager } from '@nats-io/jetstream';
import { configDifferences } from './config-differences.ts';
import type { WantedConsumer } from './topology.ts';

const NOT_FOUND: readonly number[] = [JetStreamApiCodes.ConsumerNotFound, JetStreamApiCodes.StreamNotFound];
const EXISTS_OTHERWISE: readonly number[] = [10013, 10148];

/** Creates a durable consumer, or changes one that is there with another configuration. Safe to race. */
export async function ensureConsumer(jsm: JetStreamManager, { stream, config }: WantedConsumer): Promise<void> {
  if (await isThere(jsm, { stream, config })) return;
  try {
    await jsm.consumers.add(stream, { ...config });
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || !EXISTS_OTHERWISE.includes(error.code)) throw error;
    await jsm.consumers.update(stream, config.durable_name, { ...config });
  }
}

/** Whether it is there as it is wanted: who may not make consumers may still ask. */
async function isThere(jsm: JetStreamManager, { stream, config }: WantedConsumer): Promise<boolean> {
  try {
    const { config: found } = await jsm.consumers.info(stream, config.durable_name);
    return configDifferences(config, found).length === 0;
  } catch (error) {
    if (error instanceof JetStreamApiError && NOT_FOUND.includes(error.code)) return false;
    throw error;
  }
}
