import { describe, expect, test } from '@jest/globals';
import { parseSubscriptionBody } from './subscription-body.ts';
import { parseSubscriptionPatch } from './subscription-patch.ts';
import { subscriptionToResource } from './subscription-resource.ts';
import { aSpec, aSubscription } from '#testkit/a-subscription';

const http = { sink: 'https://sink.example/', protocol: 'HTTP' };
const client = {
  credentialtype: 'CLIENTCREDENTIALS',
  tokenendpoint: 'https://as.example/token',
  clientid: 'c',
  clientsecret: 'the-secret',
};
const apiKey = { credentialtype: 'APIKEY', header: 'X-API-Key', value: 'the-secret' };
const certificate = {
  credentialtype: 'CLIENTCERTIFICATE',
  certificate: '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
  privatekey: '-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n',
};
const pointersOf = (body: object): string[] => {
  const parsed = parseSubscriptionBody(body);
  if (parsed.ok) return [];
  expect(JSON.stringify(parsed.violations)).not.toContain('the-secret');
  return parsed.violations.map(({ pointer }) => pointer);
};
const credentialOf = (sinkcredential: object) => {
  const parsed = parseSubscriptionBody({ ...http, sinkcredential });
  return parsed.ok ? parsed.value.credential : parsed.violations;
};

describe('a credential of our own', () => {
  test.each([client, { ...client, scopes: 'a b', audience: 'x' }, apiKey, certificate])('is read: %j', (credential) => {
    expect(credentialOf(credential)).toEqual({ kind: 'set', credential });
  });

  test('may be named as OAuth libraries do', () => {
    const { tokenendpoint, clientid, clientsecret } = client;
    const named = { credentialType: 'CLIENTCREDENTIALS', tokenEndpoint: tokenendpoint, clientId: clientid };
    expect(credentialOf({ ...named, clientSecret: clientsecret })).toEqual({ kind: 'set', credential: client });
  });

  test.each<[object, string]>([
    [{ ...client, tokenendpoint: 'http://as.example' }, 'tokenendpoint'],
    [{ ...client, clientsecret: '' }, 'clientsecret'],
    [{ ...client, scopes: 'a  b' }, 'scopes'],
    [{ ...apiKey, header: 'Content-Type' }, 'header'],
    [{ ...apiKey, header: 'ce-id' }, 'header'],
    [{ ...apiKey, header: 'webhook-signature' }, 'header'],
    [{ ...apiKey, header: 'a b' }, 'header'],
    [{ ...apiKey, value: 'the-secret\r\nx: y' }, 'value'],
    [{ ...apiKey, value: 'the-secret ' }, 'value'],
    [{ ...certificate, certificate: 'the-secret' }, 'certificate'],
    [{ ...certificate, certificate: certificate.privatekey }, 'certificate'],
    [{ ...certificate, privatekey: 'the-secret' }, 'privatekey'],
    [{ ...certificate, privatekey: `${certificate.privatekey}${certificate.privatekey}` }, 'privatekey'],
    [{ ...certificate, privatekey: certificate.privatekey.replaceAll('PRIVATE', 'ENCRYPTED PRIVATE') }, 'privatekey'],
  ])('is refused where it can not work, without being repeated: %j', (sinkcredential, member) => {
    expect(new Set(pointersOf({ ...http, sinkcredential }))).toEqual(new Set([`/sinkcredential/${member}`]));
  });

  test('may come in a header that the subscription does not use for anything else', () => {
    const sinkcredential = { ...apiKey, header: 'X-Mine' };
    const protocolsettings = { headers: { 'x-mine': 'a' } };
    expect(pointersOf({ ...http, sinkcredential, protocolsettings })).toEqual(['/protocolsettings/headers/x-mine']);
    const signature = { profile: 'hmac-timestamp', headerNames: { signature: 'x-mine' } };
    expect(pointersOf({ ...http, sinkcredential, config: { signature } })).toEqual([
      '/config/signature/headerNames/signature',
    ]);
    expect(
      pointersOf({ ...http, sinkcredential: apiKey, protocolsettings: { headers: { Authorization: 'Bearer x' } } }),
    ).toEqual([]);
  });

  test('that is a client certificate is shown by its facts, which keep it, and do not stand in the way of another', () => {
    const facts = { certificatesha256: 'ab'.repeat(32), certificateexpiresutc: '2030-01-01T00:00:00.000Z' };
    const shown = { credentialtype: 'CLIENTCERTIFICATE', ...facts } as const;
    const resource = subscriptionToResource(aSubscription({ spec: aSpec({ sinkcredential: shown }) }));
    expect(resource.sinkcredential).toEqual(shown);
    const again = parseSubscriptionPatch(resource, { sinkcredential: shown });
    expect(again.ok && again.value.credential).toEqual({ kind: 'keep', ...shown });
    const another = parseSubscriptionPatch(resource, { sinkcredential: certificate });
    expect(another.ok && another.value.credential).toEqual({ kind: 'set', credential: certificate });
  });

  test('that is a client certificate may have its key as openssl ecparam writes it', () => {
    const ofOpenssl = '-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n';
    const privatekey = '-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\n';
    expect(credentialOf({ ...certificate, privatekey: ofOpenssl + privatekey })).toEqual({
      kind: 'set',
      credential: { ...certificate, privatekey },
    });
  });

  test('that is a client certificate leaves all headers to others, and wants TLS', () => {
    const headers = { Authorization: 'Bearer x' };
    expect(pointersOf({ ...http, sinkcredential: certificate, protocolsettings: { headers } })).toEqual([]);
    expect(pointersOf({ ...http, sink: 'http://sink.example/', sinkcredential: certificate })).toEqual([
      '/sinkcredential',
    ]);
  });

  test('is shown by its header, and what is shown keeps it', () => {
    const shown = { credentialtype: 'APIKEY', header: 'X-API-Key' } as const;
    const resource = subscriptionToResource(aSubscription({ spec: aSpec({ sinkcredential: shown }) }));
    expect(resource.sinkcredential).toEqual(shown);
    const again = parseSubscriptionPatch(resource, { sinkcredential: shown });
    expect(again.ok && again.value.credential).toEqual({ kind: 'keep', ...shown });
    const another = parseSubscriptionPatch(resource, { sinkcredential: { value: 'v2' } });
    expect(another.ok && another.value.credential).toEqual({ kind: 'set', credential: { ...shown, value: 'v2' } });
  });
});

test('a refresh token may be of a client with a secret, and then the client is named (SA-10)', () => {
  const refresh = {
    credentialtype: 'REFRESHTOKEN',
    accesstoken: 'a',
    accesstokenexpiresutc: '2030-01-01T00:00:00Z',
    accesstokentype: 'bearer',
    refreshtoken: 'r',
    refreshtokenendpoint: 'https://as.example/token',
  };
  const confidential = { ...refresh, clientid: 'c', clientsecret: 's' };
  expect(credentialOf(confidential)).toEqual({ kind: 'set', credential: confidential });
  expect(pointersOf({ ...http, sinkcredential: { ...refresh, clientsecret: 's' } })).toEqual([
    '/sinkcredential/clientid',
  ]);
});

test('no credential can be sent over NATS', () => {
  const nats = { sink: 'nats://nats.example:4222', protocol: 'NATS', protocolsettings: { subject: 'a' } };
  expect(pointersOf({ ...nats, sinkcredential: apiKey })).toEqual(['/sinkcredential']);
  expect(pointersOf({ ...nats, config: { authorization: 'jwt' } })).toEqual(['/config/authorization']);
});
