import { expect, test } from '@jest/globals';
import { aSpec, type SpecTraits } from '#testkit/a-subscription';
import type { ShownCredential, SubscriptionSpec } from '../registry/subscription.ts';
import { authorizationHeaderName, authorizationOf, usesJwt } from './authorization.ts';

const jwt = (traits: SpecTraits = {}) => aSpec({ ...traits, config: { authorization: 'jwt', ...traits.config } });
const headers = (name: string) => ({ method: 'POST', headers: { [name]: 'Bearer own' } }) as const;

test.each<[string, SubscriptionSpec, string]>([
  ['a token of ours to an https sink (WH-9)', jwt(), 'jwt'],
  ['nothing when nothing is wanted', aSpec({ config: { authorization: 'none' } }), 'none'],
  ['nothing in the clear', jwt({ sink: 'http://sink.example/' }), 'none'],
  ['the header that the subscriber sets', jwt({ protocolsettings: headers('AUTHORIZATION') }), 'none'],
  ['the token in the URL, and only that (WH-7)', jwt({ sink: 'https://s.example/?a=1&access_token=t' }), 'none'],
  [
    'the credential before anything else',
    jwt({ sinkcredential: { credentialtype: 'APIKEY', header: 'X-Key' } }),
    'credential',
  ],
  [
    'a token of ours beside a client certificate, which is no header (WH-7)',
    jwt({ sinkcredential: { credentialtype: 'CLIENTCERTIFICATE' } }),
    'jwt',
  ],
  ['nothing over NATS', { ...jwt(), protocol: 'NATS', protocolsettings: { subject: 'a' } }, 'none'],
])('%s', (_what, spec, authorization) => {
  expect(authorizationOf(spec)).toBe(authorization);
});

test('a dead letter sink has a token of its own, also where the sink has a credential', () => {
  const sinkcredential = { credentialtype: 'PLAIN' } as const;
  const deadLetterSink = 'https://dead.example/';
  expect(usesJwt(jwt({ sinkcredential }))).toBe(false);
  expect(usesJwt(jwt({ sinkcredential, config: { deadLetterSink } }))).toBe(true);
  expect(usesJwt(aSpec({ sinkcredential, config: { deadLetterSink } }))).toBe(false);
});

test('a credential comes in Authorization, or in the header that it names', () => {
  const nameWith = (sinkcredential?: ShownCredential) =>
    authorizationHeaderName(aSpec(sinkcredential === undefined ? {} : { sinkcredential }));
  expect(nameWith({ credentialtype: 'PLAIN' })).toBe('authorization');
  expect(nameWith({ credentialtype: 'APIKEY', header: 'X-API-Key' })).toBe('x-api-key');
  // Those are authorized by a token of ours, if at all.
  expect(nameWith({ credentialtype: 'CLIENTCERTIFICATE' })).toBe('authorization');
  expect(nameWith()).toBe('authorization');
});
