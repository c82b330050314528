import { attributeToString, type CloudEvent, type EventViolation } from './cloud-event.ts';

/**
 * Attributes of one event together, names and values, in bytes of UTF-8 (CE-12).
 *
 * Every fact about an event repeats its `source`, `id` and `type`. As JSON 256 KiB are at most 512 KiB (`"` and `\`), with
 * 500 matches (45 KB) or a response body (16 KiB, 96 KiB escaped) still under the 1 MiB that NATS takes by default.
 */
export const ATTRIBUTES_MAX_BYTES = 262_144;

/** Names and values of all attributes, in bytes of UTF-8. */
function attributesSizeBytes({ attributes }: CloudEvent): number {
  let size = 0;
  for (const [name, value] of attributes) size += name.length + utf8Bytes(attributeToString(value));
  return size;
}

/** What is too large in an event (CE-12), or undefined. `pointer` is that of the event: empty unless it is one of a batch. */
export function eventSizeViolation(
  event: CloudEvent,
  { maxEventBytes, pointer = '' }: { maxEventBytes: number; pointer?: string },
): EventViolation | undefined {
  const attributesSize = attributesSizeBytes(event);
  if (attributesSize > ATTRIBUTES_MAX_BYTES) {
    const detail = `The attributes have ${attributesSize} bytes together; at most ${ATTRIBUTES_MAX_BYTES} are accepted. Move what is large into the data.`;
    return { rule: 'CE-12', pointer, detail };
  }
  const size = attributesSize + (event.data?.bytes.length ?? 0);
  if (size <= maxEventBytes) return undefined;
  const detail = `The event has ${size} bytes; at most ${maxEventBytes} are accepted. Send a reference to the data instead.`;
  return { rule: 'CE-12', pointer, detail };
}

/** Without encoding: this runs for every event twice. A half of a surrogate pair counts as the U+FFFD that is written for it. */
function utf8Bytes(text: string): number {
  let size = text.length;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x80) continue;
    if (code < 0x800) {
      size += 1;
    } else {
      size += 2;
      if (isHigh(code) && isLow(text.charCodeAt(i + 1))) i++;
    }
  }
  return size;
}

/** Of a pair the first half adds 2 and the second none: four bytes for two code units. */
function isHigh(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff;
}

function isLow(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
