import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { parseSubscriptionBody } from './subscription-body.ts';

interface Schema {
  readonly enum?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly allOf?: readonly Schema[];
  readonly additionalProperties?: unknown;
  readonly example?: unknown;
  readonly $ref?: string;
}

const file = new URL('../../../../test/vectors/subscriptions/subscriptions-openapi.yaml', import.meta.url);
const { schemas } = (parse(readFileSync(file, 'utf8')) as { components: { schemas: Record<string, Schema> } })
  .components;

/** A schema with those that it stands on, as one would read it: without their `additionalProperties: false`. */
function membersOf(schema: Schema | undefined): string[] {
  const referred = schema?.$ref?.split('/').at(-1);
  const bases = [...(schema?.allOf ?? []), ...(referred === undefined ? [] : [schemas[referred] ?? {}])];
  return [...new Set([...bases.flatMap(membersOf), ...Object.keys(schema?.properties ?? {})])];
}

/** The bases of a schema that let nothing pass but their own members, which are those of nobody else. */
function closedBasesOf(name: string): readonly (string | undefined)[] {
  return (schemas[name]?.allOf ?? []).flatMap(({ $ref }) => {
    const base = $ref?.split('/').at(-1);
    return base !== undefined && schemas[base]?.additionalProperties === false ? [base] : [];
  });
}

const VALUES: Readonly<Record<string, unknown>> = {
  headers: { 'X-Team': 'blue' },
  method: 'POST',
  subject: 'orders.created',
  identifier: 'account',
  secret: 'password',
  accesstoken: 'token',
  accesstokenexpiresutc: '2030-01-01T00:00:00Z',
  accesstokentype: 'bearer',
  refreshtoken: 'refresh',
  refreshtokenendpoint: 'https://example.com/token',
};

const withEvery = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, VALUES[name]]));
const http = { sink: schemas['SubscriptionRequest']?.properties?.['sink']?.example, protocol: 'HTTP' };
const nats = { sink: 'nats://example.com:4222', protocol: 'NATS' };

describe('the official OpenAPI file', () => {
  // With Ajv it rejects each of the bodies below: an instance has to satisfy every schema of an `allOf`, and these bases
  // permit no member at all, or only `credentialtype`.
  test.each(['HTTPSettings', 'NATSSettings', 'PlainCredential', 'AccessTokenCredential'])(
    'closes the base of %s, so it rejects its own members',
    (name) => {
      expect(closedBasesOf(name)).toHaveLength(1);
    },
  );

  test('names in its Subscription what a body of ours may have', () => {
    const parsed = parseSubscriptionBody({ ...http, id: 'x', source: '/s', types: ['t'], filters: [], config: {} });
    expect(parsed.ok).toBe(true);
    expect(membersOf(schemas['Subscription']).sort()).toEqual([
      'config',
      'filters',
      'id',
      'protocol',
      'protocolsettings',
      'sink',
      'sinkcredential',
      'source',
      'types',
    ]);
  });

  test.each<[string, object]>([
    ['HTTPSettings', http],
    ['NATSSettings', nats],
  ])('is understood by ours in each member of %s', (name, base) => {
    const settings = withEvery(membersOf(schemas[name]));
    expect(parseSubscriptionBody({ ...base, protocolsettings: settings })).toMatchObject({ ok: true });
  });

  test.each([
    ['PLAIN', 'PlainCredential'],
    ['ACCESSTOKEN', 'AccessTokenCredential'],
    ['REFRESHTOKEN', 'RefreshTokenCredential'],
  ])('is understood by ours in each member of a credential %s', (credentialtype, name) => {
    const sinkcredential = { ...withEvery(membersOf(schemas[name])), credentialtype };
    expect(parseSubscriptionBody({ ...http, sinkcredential })).toMatchObject({
      ok: true,
      value: { credential: { kind: 'set', credential: sinkcredential } },
    });
    expect(schemas['SinkCredential']?.properties?.['credentialtype']?.enum).toContain(credentialtype);
  });

  test('has no filter that ours does not know (FD-1)', () => {
    const attributes = { type: 'com.example.x' };
    const one = { exact: attributes };
    const values: Readonly<Record<string, unknown>> = {
      exact: attributes,
      prefix: attributes,
      suffix: attributes,
      all: [one],
      any: [one],
      not: one,
      sql: "type = 'x'",
    };
    const dialects = Object.keys(schemas)
      .filter((name) => /.Filter$/.test(name))
      .flatMap((name) => membersOf(schemas[name]));
    expect(dialects).toHaveLength(7);
    const filters = dialects.map((dialect) => ({ [dialect]: values[dialect] }));
    expect(parseSubscriptionBody({ ...http, filters })).toMatchObject({ ok: true });
  });

  test('has protocols that ours refuses by naming the supported ones (SA-8)', () => {
    const protocols = schemas['Protocol']?.enum ?? [];
    const refused = protocols.filter((protocol) => protocol !== 'HTTP' && protocol !== 'NATS');
    expect([protocols.length, refused.length]).toEqual([6, 4]);
    for (const protocol of refused) {
      expect(parseSubscriptionBody({ ...http, protocol })).toMatchObject({
        ok: false,
        violations: [{ pointer: '/protocol', detail: expect.stringContaining('"HTTP" and "NATS"') }],
      });
    }
  });
});

describe('the examples of the specification', () => {
  // subscriptions/spec.md 3.2.1 and 3.2.4, 3.2.4.1, with our protocols.
  test.each<[string, object]>([
    [
      'a subscription',
      {
        id: 'urn:uuid:a3f5c1d2',
        protocol: 'HTTP',
        protocolsettings: { method: 'POST' },
        sink: 'http://example.com/event-processor',
        filters: [{ prefix: { type: 'com.example.' } }],
      },
    ],
    ['all', { ...http, filters: [{ all: [{ prefix: { type: 'com.example.' } }, { suffix: { subject: '.jpg' } }] }] }],
    [
      'any',
      { ...http, filters: [{ any: [{ exact: { type: 'com.example.push' } }, { suffix: { subject: '.jpg' } }] }] },
    ],
    ['not', { ...http, filters: [{ not: { exact: { type: 'com.github.push' } } }] }],
    ['sql', { ...http, filters: [{ sql: "source LIKE '%cloudevents%'" }] }],
  ])('%s is a body that ours takes', (_name, body) => {
    expect(parseSubscriptionBody(body)).toMatchObject({ ok: true });
  });
});
