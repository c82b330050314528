import fc from 'fast-check';
import type { AttributeValue, CloudEvent, EventData } from '#core/event/cloud-event';

/** Any string that an attribute may hold (CE-7). */
export function anyAttributeText(minLength = 0): fc.Arbitrary<string> {
  return fc
    .string({ unit: 'binary', minLength })
    .map((text) => text.replaceAll(/[\p{Control}\p{Noncharacter_Code_Point}]/gu, 'x'));
}

/** Any valid event: every data form, every attribute type, any Unicode. */
export function anyEvent(): fc.Arbitrary<CloudEvent> {
  return fc
    .tuple(anyCoreAttributes(), anyExtensions(), anyContent())
    .map(([core, extensions, { datacontenttype, data }]) => {
      const attributes = new Map<string, AttributeValue>();
      for (const [name, value] of Object.entries({ ...extensions, ...core, datacontenttype })) {
        if (value !== undefined) attributes.set(name, value);
      }
      return data === undefined ? { attributes } : { attributes, data };
    });
}

function anyCoreAttributes() {
  return fc.record(
    {
      specversion: fc.constant('1.0'),
      id: anyAttributeText(1),
      source: fc.oneof(fc.webUrl({ withFragments: true }), fc.constantFrom('#x', '//a/b', '/s/1', '1-555', 'urn:a:b')),
      type: anyAttributeText(1),
      subject: anyAttributeText(1),
      dataschema: fc.webUrl(),
      time: fc.constantFrom(
        '2026-01-31T12:00:00Z',
        '1985-04-12T23:20:50.52+00:20',
        '2018-04-05t16:31:00.000000001-01:00',
      ),
    },
    { requiredKeys: ['specversion', 'id', 'source', 'type'] },
  );
}

function anyExtensions(): fc.Arbitrary<Record<string, AttributeValue>> {
  const name = fc.oneof(
    fc.stringMatching(/^[a-z0-9]{1,12}$/).filter((text) => text !== 'data'),
    fc.constantFrom('sampledrate', 'severitynumber', 'deprecated'),
  );
  const int32 = fc.integer({ min: -2_147_483_648, max: 2_147_483_647 });
  const lookalike = fc.constantFrom('5', '-1', '007', '-0', 'true', 'false', '');
  return fc.dictionary(name, fc.oneof(anyAttributeText(), int32, fc.boolean(), lookalike), { maxKeys: 5 });
}

interface Content {
  readonly datacontenttype: string | undefined;
  readonly data: EventData | undefined;
}

function anyContent(): fc.Arbitrary<Content> {
  const jsonTypes = fc.constantFrom(
    undefined,
    'application/json',
    'application/vnd.x+JSON; charset="utf-8"',
    'text/json',
  );
  const otherTypes = fc.constantFrom(
    'text/plain',
    'application/xml',
    'text/plain; charset=iso-8859-1',
    'application/octet-stream',
  );
  return fc.oneof(
    content(fc.oneof(jsonTypes, otherTypes), fc.constant(undefined)),
    content(jsonTypes, anyJson()),
    content(otherTypes, anyText()),
    content(fc.oneof(jsonTypes, otherTypes), anyBytes()),
  );
}

function content(
  datacontenttype: fc.Arbitrary<string | undefined>,
  data: fc.Arbitrary<EventData | undefined>,
): fc.Arbitrary<Content> {
  return fc.record({ datacontenttype, data });
}

function anyJson(): fc.Arbitrary<EventData> {
  const exact = fc.constantFrom(
    '12345678901234567890',
    '1.10',
    '-0',
    '1E+2',
    '{ "b":1 ,\n"a" : [ ] }',
    '"\\u00e9\\/\\ud800"',
  );
  return fc.oneof(fc.json(), exact).map((text) => ({ bytes: new TextEncoder().encode(text), form: 'json' }));
}

function anyText(): fc.Arbitrary<EventData> {
  return fc.string({ unit: 'binary' }).map((text) => ({ bytes: new TextEncoder().encode(text), form: 'text' }));
}

function anyBytes(): fc.Arbitrary<EventData> {
  const lookalike = fc.constantFrom('', '{"a":1}', 'plain').map((text) => new TextEncoder().encode(text));
  return fc.oneof(fc.uint8Array(), lookalike).map((bytes) => ({ bytes, form: 'bytes' }));
}
