/** A CloudEvents attribute value. Integers are int32, everything else that is not a Boolean is a String (CE-7). */
export type AttributeValue = string | number | boolean;

/**
 * What is known about the form of the data, beside its bytes.
 *
 * - `json`: the bytes are exactly one JSON value, as it stood in a structured event or as a JSON content type promises
 *   (checked when the event is read).
 * - `text`: the bytes are UTF-8 and a structured event carries them as a JSON string: because it came so beside a content
 *   type that is not JSON (JF-6), or because its content type is textual (`text/…`, XML).
 * - `bytes`: anything else; a structured event carries them as `data_base64`.
 */
export type DataForm = 'json' | 'text' | 'bytes';

/** The data of an event: the exact bytes that leave, and how a structured envelope has to carry them. */
export interface EventData {
  readonly bytes: Uint8Array;
  readonly form: DataForm;
}

/**
 * A valid CloudEvent 1.0 (spec: CloudEvents core 1.0.2 / 1.0.3-wip).
 *
 * `attributes` holds every context attribute, required and extension, in the order of arrival, with its exact value:
 * nothing is normalised. It always has `specversion`, `id`, `source` and `type`. `data` is absent when the event has none,
 * which is not the same as `data: null` (JF-5).
 */
export interface CloudEvent {
  readonly attributes: ReadonlyMap<string, AttributeValue>;
  readonly data?: EventData;
}

/** One broken rule of an event, fit for a problem document: where, which rule, what to do. */
export interface EventViolation {
  /** Requirement id, for example `CE-1`. */
  readonly rule: string;
  /** JSON Pointer into a structured body (`/id`) or the name of a header (`ce-id`). */
  readonly pointer: string;
  /** One sentence: what is wrong and how to fix it. */
  readonly detail: string;
}

export type ParsedEvent =
  | { readonly ok: true; readonly event: CloudEvent }
  | { readonly ok: false; readonly violations: readonly EventViolation[] };

/** The canonical string of an attribute value (CE-7), as filters and headers see it. */
export function attributeToString(value: AttributeValue): string {
  return typeof value === 'string' ? value : String(value);
}

/** A required or optional attribute as a string, or undefined when the event does not have it. */
export function attributeOf(event: CloudEvent, name: string): string | undefined {
  const value = event.attributes.get(name);
  return value === undefined ? undefined : attributeToString(value);
}
