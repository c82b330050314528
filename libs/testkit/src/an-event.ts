import { randomUUID } from 'node:crypto';
import type { AttributeValue, CloudEvent, EventData } from '#core/event/cloud-event';

/** What a test cares about; every other member is an extension attribute. `undefined` leaves an attribute out. */
export interface EventTraits {
  readonly id?: string | undefined;
  readonly source?: string | undefined;
  readonly type?: string | undefined;
  readonly subject?: string | undefined;
  readonly time?: string | undefined;
  readonly datacontenttype?: string | undefined;
  readonly dataschema?: string | undefined;
  /** A value that becomes JSON; `undefined` for an event without data. Default: a contact. */
  readonly data?: unknown;
  /** The exact text of JSON data, where numbers or white space matter. */
  readonly dataJson?: string;
  /** Text data; set a `datacontenttype` such as `text/plain` too. */
  readonly dataText?: string;
  /** Binary data; set a `datacontenttype` too, or `undefined`. */
  readonly dataBytes?: Uint8Array;
  readonly [extension: string]: unknown;
}

const DATA_TRAITS = new Set(['data', 'dataJson', 'dataText', 'dataBytes']);

/** A created contact, in the shape of Voxie's `com.voxie.contact.created`. */
export const CONTACT = {
  at: '2026-06-24T15:21:35Z',
  team_id: 1,
  contact_id: 288331,
  contact_phone_number: '+15550100726',
  contact_email: 'contact@example.com',
  contact_first_name: 'Example',
  contact_last_name: 'Contact',
};

/** A valid event with a fresh id, about a created contact unless the test says otherwise. */
export function anEvent(traits: EventTraits = {}): CloudEvent {
  const attributes = new Map<string, AttributeValue>();
  for (const [name, value] of Object.entries({ ...defaultAttributes(), ...traits })) {
    if (!DATA_TRAITS.has(name) && value !== undefined) attributes.set(name, value as AttributeValue);
  }
  const data = dataOf(traits);
  return data === undefined ? { attributes } : { attributes, data };
}

function defaultAttributes(): Record<string, string> {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: 'voxie/core',
    type: 'com.voxie.contact.created',
    datacontenttype: 'application/json',
    dataschema: 'https://registry.example.com/schema/v1/contact/created.json',
    time: '2026-06-24T15:21:35.123456789Z',
  };
}

function dataOf(traits: EventTraits): EventData | undefined {
  const encoder = new TextEncoder();
  if (traits.dataBytes !== undefined) return { bytes: traits.dataBytes, form: 'bytes' };
  if (traits.dataText !== undefined) return { bytes: encoder.encode(traits.dataText), form: 'text' };
  if (traits.dataJson !== undefined) return { bytes: encoder.encode(traits.dataJson), form: 'json' };
  const value = 'data' in traits ? traits.data : CONTACT;
  return value === undefined ? undefined : { bytes: encoder.encode(JSON.stringify(value)), form: 'json' };
}
