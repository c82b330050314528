/** Numbers that no JSON parser of JavaScript gives back as they were: they must leave as they came. */
export const CONTACT_DATA =
  '{"at":"2021-08-03T15:21:35Z","team_id":1,"contact_id":288331,"reference":12345678901234567890,"balance":1.10}';

export const CONTACT_TYPE = 'com.voxie.contact.created';

const ATTRIBUTES = {
  specversion: '1.0',
  source: 'voxie/core',
  type: CONTACT_TYPE,
  dataschema: 'https://registry.example.com/schemas/contact-created.json',
  time: '2021-08-03T15:21:35Z',
  comvoxiepublic: true,
  comvoxieteam: 1,
};

/** The shape of a Voxie contact event (S-1), structured; data stands in it as written above. */
export function contactEventJson(id: string): string {
  const attributes = JSON.stringify({ ...ATTRIBUTES, id, datacontenttype: 'application/json' });
  return `${attributes.slice(0, -1)},"data":${CONTACT_DATA}}`;
}

/** Its attributes as a sink sees them in binary mode: every value a text (CE-7). */
export function contactAttributes(id: string): Record<string, string> {
  return Object.fromEntries(Object.entries({ ...ATTRIBUTES, id }).map(([name, value]) => [name, String(value)]));
}

export interface PublishForm {
  readonly headers: Record<string, string>;
  readonly body: string;
}

/** The same event in each mode of the HTTP binding (HB-1). */
export const PUBLISH_FORMS = {
  structured: (id: string): PublishForm => ({
    headers: { 'content-type': 'application/cloudevents+json; charset=UTF-8' },
    body: contactEventJson(id),
  }),
  binary: (id: string): PublishForm => ({
    headers: {
      'content-type': 'application/json',
      ...Object.fromEntries(Object.entries(contactAttributes(id)).map(([name, value]) => [`ce-${name}`, value])),
    },
    body: CONTACT_DATA,
  }),
  batch: (id: string): PublishForm => ({
    headers: { 'content-type': 'application/cloudevents-batch+json' },
    body: `[${contactEventJson(id)}]`,
  }),
} as const;
