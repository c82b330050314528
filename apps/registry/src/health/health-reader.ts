import type { OnModuleDestroy } from '@nestjs/common';
import type { Bus } from '#bus/connection';
import { openPresence, type Presence } from '#bus/presence';
import { readLaneState } from '#bus/read-lane-state';
import { askAll } from '#bus/request';
import { makeWaitingDeliveries, type WaitingDeliveries } from '#bus/waiting-deliveries';
import { decodeDeliveryTask, UnreadableTask } from '#contracts/bus/delivery-task-codec';
import type { LaneHealthAnswer, LaneHealthQuestion } from '#contracts/bus/lane-health';
import type { SubscriptionHealthResource } from '#contracts/http/health-resource';
import type { Subscription } from '#core/registry/subscription';
import type { Clock } from '#platform/tokens';
import { describeHealth } from './describe-health.ts';

export const HEALTH_READER = Symbol('HEALTH_READER');

/** How long workers are waited for: it is in the memory of each. */
const ANSWER_WITHIN_MS = 300;

/** Puts together how delivery to one sink goes: the streams say what waits, CIRCUITS the circuit, the workers the rest. */
export class HealthReader implements OnModuleDestroy {
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #waiting: WaitingDeliveries;
  readonly #workers: Presence;

  constructor(bus: Bus, clock: Clock) {
    this.#bus = bus;
    this.#clock = clock;
    this.#waiting = makeWaitingDeliveries(bus);
    this.#workers = openPresence(bus, { isSilent: true });
  }

  /** @throws BusUnavailable */
  async read(subscription: Subscription): Promise<SubscriptionHealthResource> {
    const { tenant, id } = subscription;
    const [lane, waiting, answers] = await Promise.all([
      readLaneState(this.#bus, id),
      this.#waiting.read(tenant, id),
      this.#askWorkers({ subscription: id }),
    ]);
    const acceptedAtMs = waiting.oldest.flatMap(acceptedAtMsOf);
    const facts = {
      subscription,
      lane,
      waiting: waiting.count,
      oldestAcceptedAtMs: acceptedAtMs.length === 0 ? undefined : Math.min(...acceptedAtMs),
      answers,
      workers: this.#workers.workers(),
    };
    return describeHealth(facts, this.#clock());
  }

  /** Of a worker that came a moment ago nobody has heard yet: it answers all the same. */
  async #askWorkers(question: LaneHealthQuestion): Promise<readonly LaneHealthAnswer[]> {
    const known = this.#workers.workers();
    const answers = await askAll(this.#bus, this.#bus.topology.laneHealthSubject, encode(question), {
      waitMs: ANSWER_WITHIN_MS,
      ...(known === 0 ? {} : { expected: known }),
    });
    return answers.map((answer) => JSON.parse(Buffer.from(answer).toString()) as LaneHealthAnswer);
  }

  async onModuleDestroy(): Promise<void> {
    this.#waiting.close();
    await this.#workers.stop();
  }
}

function encode(question: LaneHealthQuestion): Uint8Array {
  return Buffer.from(JSON.stringify(question));
}

/** What is no task becomes a dead letter when its turn comes. */
function acceptedAtMsOf(payload: Uint8Array): number[] {
  try {
    return [decodeDeliveryTask(payload).acceptedAtMs];
  } catch (error) {
    if (error instanceof UnreadableTask) return [];
    throw error;
  }
}
