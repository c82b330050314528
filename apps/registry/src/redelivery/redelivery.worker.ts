import { setTimeout as delay } from 'node:timers/promises';
import { consumeEach, type Consuming } from '#bus/consume';
import { readRecordMessage } from '../engine/read-message.ts';
import { makeRunPorts, type RedeliveryParts } from './redelivery.ports.ts';
import { makeRunRedelivery } from './run-redelivery.ts';

/** Jobs at once in one process; a job mostly waits. */
const SLOTS = 256;

/**
 * Works on the redeliveries that are requested. The record of the request is the work: whoever has it from the consumer
 * keeps it unacknowledged until the job is over, so that another process gets it when this one dies.
 */
export function startRedeliveryWorker(parts: RedeliveryParts): Consuming {
  const { bus, snapshot } = parts;
  const { streams, consumers } = bus.topology;
  const stopping = new AbortController();
  const { run } = makeRunRedelivery({
    ...makeRunPorts(parts),
    sleep: (ms) => delay(ms, undefined, { signal: stopping.signal }).catch(() => undefined),
    isStopping: () => stopping.signal.aborted,
  });
  const consuming = consumeEach(
    bus,
    { stream: streams.REGISTRY, consumer: consumers.redeliveries, slots: SLOTS },
    async (message) => {
      const record = readRecordMessage(bus, message);
      if (record?.aggregate !== 'redelivery' || record.event.kind !== 'RedeliveryRequested') {
        message.ack();
        return;
      }
      // All that was recorded by whoever had it before: to begin at an older checkpoint would be refused.
      await snapshot.catchUp();
      const { tenant, id } = record.event;
      const end = await run(tenant, id, message.deliveryCount > 1);
      if (end === 'over') message.ack();
      else message.nak();
    },
  );
  return {
    isAlive: () => consuming.isAlive(),
    async stop() {
      stopping.abort();
      await consuming.stop();
    },
  };
}
