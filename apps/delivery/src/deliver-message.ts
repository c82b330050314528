import type { Delivered } from '#bus/delivered';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { decodeDeliveryTask, UnreadableTask } from '#contracts/bus/delivery-task-codec';
import type { CompletedAttempt, HeldDelivery } from './attempt-delivery.ts';

export interface DeliverPorts {
  attemptDelivery(task: DeliveryTask): Promise<CompletedAttempt | HeldDelivery>;
  settleAttempt(task: DeliveryTask, completed: CompletedAttempt): Promise<void>;
  /** Puts a delivery off; resolves when that is stored. */
  hold(held: HeldDelivery): Promise<void>;
  /** Keeps what is not a task where an operator finds it. */
  setAside(message: Delivered, why: string): Promise<void>;
  observe(result: CompletedAttempt | HeldDelivery): void;
}

/** One message from DELIVERIES or RETRIES: attempt, settle, acknowledge, in this order. */
export function makeDeliverMessage(ports: DeliverPorts) {
  return async function deliverMessage(message: Delivered): Promise<void> {
    const task = readTask(message);
    if (task instanceof UnreadableTask) {
      await ports.setAside(message, task.message);
      message.ack();
      return;
    }
    const result = await ports.attemptDelivery(task);
    await ('held' in result ? ports.hold(result) : ports.settleAttempt(task, result));
    message.ack();
    ports.observe(result);
  };
}

function readTask({ data }: Delivered): DeliveryTask | UnreadableTask {
  try {
    return decodeDeliveryTask(data);
  } catch (error) {
    if (error instanceof UnreadableTask) return error;
    throw error;
  }
}
