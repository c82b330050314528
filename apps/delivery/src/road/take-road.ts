import type { Slots } from '#bus/slots';
import type { Delivered } from '#bus/delivered';
import { roadOf, type Road } from '#core/lane/road';
import type { LaneState } from '#core/lane/lane-state';
import type { SubscriptionId } from '#core/ids';
import { deliveryFateOf } from '#core/registry/subscription-state';
import type { Subscription } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { decodeDeliveryTask, UnreadableTask } from '#contracts/bus/delivery-task-codec';
import type { CompletedAttempt, HeldDelivery, ReadyDelivery } from '../attempt-delivery.ts';
import type { AttemptRoad, LaneReason } from '../delivery.metrics.ts';
import { laneKeyOf } from '../lane/lane-key.ts';
import type { Door, Ticket } from './door.ts';

export interface TakeRoadPorts {
  /** Where the deliveries of a lane go, as far as this process knows; undefined: nowhere any more, or not heard of yet. */
  targetOf(laneKey: SubscriptionId): Subscription | undefined;
  /** The same for certain. */
  findTarget(laneKey: SubscriptionId): Promise<Subscription | undefined>;
  laneState(laneKey: SubscriptionId): LaneState | undefined;
  /** Requests that this process may have in flight for it on its common roads. */
  shareOf(target: Subscription): number;
  /** Too many wait: all processes use the lane until it is drained. Resolves when that is stored. */
  overflow(laneKey: SubscriptionId, target: Subscription): Promise<void>;
  /** Puts a message on its lane and has that drained; resolves when both is stored. */
  moveToLane(laneKey: SubscriptionId, message: Delivered, options: { readonly isAsleep: boolean }): Promise<void>;
  prepare(task: DeliveryTask): Promise<ReadyDelivery | CompletedAttempt>;
  send(ready: ReadyDelivery): Promise<CompletedAttempt | HeldDelivery>;
  settle(task: DeliveryTask, completed: CompletedAttempt): Promise<void>;
  /** Counts what the exchange says of the sink. Never rejects. */
  account(laneKey: SubscriptionId, target: Subscription, completed: CompletedAttempt): Promise<void>;
  /** Puts a delivery off; resolves when that is stored. */
  hold(held: HeldDelivery): Promise<void>;
  /** Keeps what is not a task where an operator finds it. */
  setAside(message: Delivered, why: string): Promise<void>;
  observe(result: CompletedAttempt | HeldDelivery, road: AttemptRoad): void;
  observeLane(reason: LaneReason): void;
  /** The timer of an attempt fired so long after its instant. */
  observeLateness(lateMs: number): void;
  now(): number;
}

/** One of the common roads: its slots are its own, whoever waits on another road. */
export interface CommonRoad {
  readonly name: Exclude<AttemptRoad, 'lane'>;
  readonly slots: Slots;
}

/**
 * One message of a common road: an attempt here, or onto the lane of its subscription. In both cases what follows is stored
 * before it is acknowledged.
 *
 * ```
 * message ─► lane? ──no──► door ──► attempt ─► settle ─► ack
 *              │            │ full: lane state        ▲
 *              └────────────┴─► append, wake ─────────┘
 * ```
 *
 * @param goOn called as soon as the message no longer stands in the way of those behind it
 */
export function makeTakeRoad(ports: TakeRoadPorts, door: Door) {
  return async function takeRoad(road: CommonRoad, message: Delivered, goOn: () => void): Promise<void> {
    const task = readTask(message);
    if (task instanceof UnreadableTask) {
      await ports.setAside(message, task.message);
      message.ack();
      return;
    }
    if (road.name === 'retry' && task.dueAtMs !== undefined) ports.observeLateness(ports.now() - task.dueAtMs);
    const laneKey = laneKeyOf(task);
    const known = ports.targetOf(laneKey);
    // One that this process has not heard of yet may be ordered or paused, one that has ended may be resumed.
    const isCertain = known !== undefined && deliveryFateOf(known) !== 'end';
    const target = isCertain ? known : await ports.findTarget(laneKey);
    const way = target && roadOf(target, ports.laneState(laneKey), ports.now());
    if (way?.road === 'lane') {
      await toLane(laneKey, message, way.isAsleep);
      return;
    }
    if (target === undefined || way?.road === 'end') {
      await attempt(task, message, road);
      return;
    }
    const entered = door.enter(laneKey, ports.shareOf(target), road.slots, goOn);
    const ticket = entered instanceof Promise ? await entered : entered;
    if (ticket === 'closed') {
      message.nak();
      return;
    }
    goOn();
    if (ticket === 'full') {
      await ports.overflow(laneKey, target);
      await toLane(laneKey, message, false, 'overflow');
      return;
    }
    const now = entered instanceof Promise ? wayOf(laneKey) : way;
    if (typeof ticket === 'string') {
      await toLane(laneKey, message, now?.isAsleep ?? false);
      return;
    }
    try {
      if (now?.road === 'lane') {
        ticket.leave();
        await toLane(laneKey, message, now.isAsleep);
      } else {
        await attempt(task, message, road, ticket);
      }
    } finally {
      ticket.leave();
    }
  };

  /** While a message waited, its subscription may have come to need its lane. */
  function wayOf(laneKey: SubscriptionId): Road | undefined {
    const target = ports.targetOf(laneKey);
    return target === undefined ? undefined : roadOf(target, ports.laneState(laneKey), ports.now());
  }

  async function toLane(
    laneKey: SubscriptionId,
    message: Delivered,
    isAsleep: boolean,
    reason: LaneReason = ports.laneState(laneKey) === undefined ? 'rules' : 'circuit',
  ): Promise<void> {
    await ports.moveToLane(laneKey, message, { isAsleep });
    message.ack();
    ports.observeLane(reason);
  }

  async function attempt(task: DeliveryTask, message: Delivered, { name }: CommonRoad, ticket?: Ticket): Promise<void> {
    const prepared = await ports.prepare(task);
    if ('target' in prepared && ticket === undefined) {
      // It was to end, and its subscription takes deliveries again: it comes once more and finds its road.
      message.nak();
      return;
    }
    const result = 'target' in prepared ? await ports.send(prepared) : prepared;
    ticket?.requestEnded();
    if ('held' in result) {
      await ports.hold(result);
    } else {
      const accounted = 'target' in prepared ? ports.account(laneKeyOf(task), prepared.target, result) : undefined;
      await ports.settle(task, result);
      await accounted;
    }
    message.ack();
    ports.observe(result, name);
  }
}

function readTask({ data }: Delivered): DeliveryTask | UnreadableTask {
  try {
    return decodeDeliveryTask(data);
  } catch (error) {
    if (error instanceof UnreadableTask) return error;
    throw error;
  }
}
