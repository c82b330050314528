import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import type { Bus } from './connection.ts';
import { ensureConsumer } from './ensure-consumer.ts';

/**
 * Answers a function that makes a durable consumer again when it is gone: a deleted one sends nothing more, for ever. What goes
 * wrong is logged; calls while one runs do nothing.
 */
export function makeConsumerKeeper(bus: Bus, stream: string, consumer: string): () => Promise<void> {
  const { jsm, logger, topology } = bus;
  let isChecking = false;

  async function check(): Promise<void> {
    try {
      await jsm.consumers.info(stream, consumer);
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) await remake();
      else logger.warn({ err: error, stream, consumer }, 'nats: the consumer does not answer');
    }
  }

  async function remake(): Promise<void> {
    logger.error({ stream, consumer }, 'nats: the consumer was deleted; making it again');
    const wanted = topology.consumerConfigs().find((c) => c.stream === stream && c.config.durable_name === consumer);
    if (wanted === undefined) return;
    await ensureConsumer(jsm, wanted).catch((err: unknown) => logger.warn({ err }, 'nats: not made'));
  }

  return async () => {
    if (isChecking) return;
    isChecking = true;
    await check().finally(() => {
      isChecking = false;
    });
  };
}
