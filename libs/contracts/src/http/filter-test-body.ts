import { z } from 'zod';
import type { CloudEvent } from '#core/event/cloud-event';
import { membersOf, skipSpace } from '#core/event/json-members';
import { parseStructured } from '#core/event/structured-json';
import { encodeUtf8 } from '#core/event/utf8';
import type { Filter } from '#core/filter/filter';
import type { Explanation } from '#core/filter/explain-filters';
import { filtersMember } from './filters-member.ts';
import { parseBody, strictMembers, type Parsed, type Violation } from './violations.ts';

/** What `POST /v1/filters/test` asks: what filters make of an event that stands in the body, or of a stored one. */
export interface FilterTest {
  readonly filters: readonly Filter[];
  readonly about:
    | { readonly kind: 'event'; readonly event: CloudEvent }
    | { readonly kind: 'stored'; readonly id: string; readonly source?: string };
}

/** The answer to `POST /v1/filters/test`. */
export interface FilterTestResource extends Explanation {
  /** What is valid but most likely a mistake; absent when there is nothing to say. */
  readonly warnings?: readonly Violation[];
}

const text = z.string('This must be a string.').min(1, 'This must not be empty.').optional();

const EITHER = 'Give either `event`, a CloudEvent in the JSON format, or `eventId`, the id of a stored one.';

const filterTestBody = strictMembers({
  filters: filtersMember,
  event: z.record(z.string(), z.unknown(), 'This must be a CloudEvent as a JSON object.').optional(),
  eventId: text,
  source: text,
}).superRefine((body, context) => {
  const refuse = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (body.event === undefined && body.eventId === undefined) refuse(['event'], EITHER);
  if (body.event !== undefined && body.eventId !== undefined) refuse(['eventId'], EITHER);
  if (body.source !== undefined && body.eventId === undefined) {
    refuse(['source'], 'This tells stored events with the same id apart, so it needs `eventId`.');
  }
});

/**
 * Reads the body of `POST /v1/filters/test`. Lists every violation of filters and event.
 *
 * @param value the body, parsed
 * @param json its text, from which the event is cut out as it stands: parsed and printed again, its data would not be the
 *   same bytes, and duplicate members would be gone
 */
export function parseFilterTest(value: unknown, json: string): Parsed<FilterTest> {
  const body = parseBody(filterTestBody, value);
  const event = parseEvent(value, json);
  const violations = [...(body.ok ? [] : body.violations), ...(event?.ok === false ? event.violations : [])];
  if (!body.ok || violations.length > 0) return { ok: false, violations };
  const { filters, eventId = '', source } = body.value;
  const stored = { kind: 'stored' as const, id: eventId, ...(source === undefined ? {} : { source }) };
  return { ok: true, value: { filters, about: event?.ok ? { kind: 'event', event: event.value } : stored } };
}

/** Undefined when the body has no event; whether that is right is not asked here. */
function parseEvent(value: unknown, json: string): Parsed<CloudEvent> | undefined {
  const event = (value as { event?: unknown } | null)?.event;
  if (typeof event !== 'object' || event === null || Array.isArray(event)) return undefined;
  const member = membersOf(json, skipSpace(json, 0)).findLast(({ name }) => name === 'event');
  if (member === undefined) return undefined;
  const parsed = parseStructured(encodeUtf8(json.slice(member.start, member.end)));
  if (parsed.ok) return { ok: true, value: parsed.event };
  const violations = parsed.violations.map((each) => ({ ...each, pointer: `/event${each.pointer}` }));
  return { ok: false, violations };
}
