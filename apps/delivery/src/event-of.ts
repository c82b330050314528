import type { CloudEvent } from '#core/event/cloud-event';
import type { DeliveryTask } from '#contracts/bus/delivery-task';

/** The event of a delivery, from EVENTS when it does not travel with it; undefined when that no longer has it. */
export function eventOf(
  { event, eventSeq }: Pick<DeliveryTask, 'event' | 'eventSeq'>,
  readEvent: (seq: number) => Promise<CloudEvent | undefined>,
): CloudEvent | undefined | Promise<CloudEvent | undefined> {
  return event.kind === 'inline' ? event.value : readEvent(eventSeq);
}
