import type { Bus } from '#bus/connection';
import { consumeEach, type Consuming } from '#bus/consume';
import type { SubscriptionVerdict } from '#contracts/bus/facts';
import type { EngineMetrics } from './engine.metrics.ts';
import { makeApplyVerdict, type ApplyVerdictPorts } from './apply-verdict.ts';
import { readMessage } from './read-message.ts';

const SLOTS = 32;

/** JOURNAL: verdicts → commands. A registry that was away carries out later what is still so then. */
export function startVerdictWorker(
  bus: Bus,
  ports: ApplyVerdictPorts,
  metrics: Pick<EngineMetrics, 'observeVerdict'>,
): Consuming {
  const { streams, consumers } = bus.topology;
  const applyVerdict = makeApplyVerdict(ports);
  return consumeEach(bus, { stream: streams.JOURNAL, consumer: consumers.verdicts, slots: SLOTS }, async (message) => {
    const verdict = readMessage<SubscriptionVerdict>(bus, message);
    if (verdict !== undefined) {
      const result = await applyVerdict(verdict);
      metrics.observeVerdict(verdict.reason, result);
      const { subscription, reason, revision } = verdict;
      bus.logger.info({ subscription, reason, revision, result }, 'a verdict of delivery about a subscription');
    }
    message.ack();
  });
}
