import type { AttributeValue, CloudEvent } from '../event/cloud-event.ts';
import { readJsonData, type JsonValue } from './json-data.ts';

/** An event as filters see it. One for all filters that look at an event, so that its data is parsed once at most. */
export interface EventView {
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  /** The data as JSON, parsed when it is first asked for; undefined when it has no such form. */
  data(): JsonValue | undefined;
}

export function makeEventView({ attributes, data }: CloudEvent): EventView {
  let parsed: { readonly value: JsonValue | undefined } | undefined;
  return {
    attributes,
    data() {
      parsed ??= { value: readJsonData(data) };
      return parsed.value;
    },
  };
}

/** The canonical string of an attribute (CE-7), undefined when the event does not have it. */
export function textOf({ attributes }: Pick<EventView, 'attributes'>, name: string): string | undefined {
  const value = attributes.get(name);
  return value === undefined || typeof value === 'string' ? value : String(value);
}
