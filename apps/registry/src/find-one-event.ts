import type { TenantId } from '#core/ids';
import { ProblemError } from '#platform/problem';
import type { EventRecord } from '#store/find-event';
import { notFound } from './problems.ts';
import type { ReadSide } from './registry.ports.ts';

/** The newest event with this id: 404 when there is none, 409 when the source has to say which one. */
export async function findOneEvent(
  { findEvent }: Pick<ReadSide, 'findEvent'>,
  tenant: TenantId,
  id: string,
  source: string | undefined,
): Promise<EventRecord> {
  const [event, ...others] = await findEvent(tenant, id, source);
  if (event === undefined) throw notFound('event', id);
  if (others.length > 0) throw ambiguous([event, ...others]);
  return event;
}

/** 410: what is known of the event is in Postgres, but EVENTS does not have it any more. */
export function eventDataGone(): ProblemError {
  const detail =
    'The retention of events is over for this one: its attributes and deliveries are known, its data is not.';
  return new ProblemError({ status: 410, code: 'event-data-gone', detail });
}

/** Source and id together name an event (CE-2). */
function ambiguous(events: readonly EventRecord[]): ProblemError {
  return new ProblemError({
    status: 409,
    code: 'event-ambiguous',
    detail: `${events.length} sources have an event with this id. Say which one by its source.`,
    errors: events.map(({ source }) => ({ rule: 'CE-2', pointer: 'source', detail: source })),
  });
}
