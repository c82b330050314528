import { describe, expect, test } from '@jest/globals';
import type { SignatureSettings } from '#core/signature/signature-settings';
import { parseSubscriptionBody } from './subscription-body.ts';
import { parseSubscriptionPatch } from './subscription-patch.ts';
import { subscriptionToResource } from './subscription-resource.ts';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import type { Violation } from './violations.ts';

const body = { sink: 'https://sink.example/', protocol: 'HTTP' } as const;
const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`;

function parse(signature: unknown, others: object = {}): SignatureSettings | readonly Violation[] {
  const parsed = parseSubscriptionBody({ ...body, ...others, config: { signature } });
  return parsed.ok ? parsed.value.spec.config.signature : parsed.violations;
}

function problems(signature: unknown, others: object = {}): string[] {
  const parsed = parse(signature, others);
  return Array.isArray(parsed) ? (parsed as Violation[]).map(({ pointer, detail }) => `${pointer}: ${detail}`) : [];
}

describe('config.signature', () => {
  test('has a default for every setting of every profile (SA-11)', () => {
    expect(parse({})).toEqual({ profile: 'standard-webhooks' });
    expect(parse({ profile: 'none' })).toEqual({ profile: 'none' });
    expect(parse({ profile: 'standard-webhooks-v1a' })).toEqual({ profile: 'standard-webhooks-v1a' });
    expect(parse({ profile: 'http-signatures-draft-05' })).toEqual({
      profile: 'http-signatures-draft-05',
      verbatim: false,
    });
    expect(parse({ profile: 'hmac-timestamp' })).toEqual({
      profile: 'hmac-timestamp',
      headerNames: { signature: 'x-webhook-signature', id: 'x-webhook-id' },
    });
    expect(parse({ profile: 'rfc9421' })).toEqual({
      profile: 'rfc9421',
      algorithm: 'ed25519',
      components: ['@method', '@target-uri', 'content-digest', 'content-type', 'webhook-id', 'ce-*'],
      tag: 'cloudevents-webhook',
    });
  });

  test('takes what it is given', () => {
    const rfc9421 = {
      profile: 'rfc9421',
      algorithm: 'ecdsa-p256-sha256',
      components: ['content-digest', '@path', 'x-own'],
      tag: 'mine',
      expiresSeconds: 60,
    } as const;
    expect(parse(rfc9421)).toEqual(rfc9421);
    expect(parse({ profile: 'hmac-timestamp', headerNames: { signature: 'Acme-Signature' }, secret })).toMatchObject({
      headerNames: { signature: 'acme-signature', id: 'x-webhook-id' },
    });
    expect(parse({ profile: 'http-signatures-draft-05', verbatim: true })).toMatchObject({ verbatim: true });
  });

  test.each<[string, object, string, string]>([
    [
      'a secret where a key signs',
      { profile: 'rfc9421', secret },
      'secret',
      'only with "standard-webhooks" or "hmac-timestamp"',
    ],
    [
      'a secret where nothing signs',
      { profile: 'none', secret },
      'secret',
      'A secret has no use with the profile "none"',
    ],
    ['components of another profile', { components: ['content-digest'] }, 'components', 'only with "rfc9421"'],
    [
      'an algorithm of another profile',
      { profile: 'standard-webhooks-v1a', algorithm: 'ed25519' },
      'algorithm',
      'only with "rfc9421"',
    ],
    [
      'verbatim of another profile',
      { profile: 'rfc9421', verbatim: true },
      'verbatim',
      'only with "http-signatures-draft-05"',
    ],
    [
      'an algorithm that nobody has',
      { profile: 'rfc9421', algorithm: 'rsa' },
      'algorithm',
      '"ecdsa-p256-sha256" or "ed25519"',
    ],
    [
      'a profile that nobody knows',
      { profile: 'x' },
      'profile',
      '"standard-webhooks", "standard-webhooks-v1a", "rfc9421"',
    ],
    ['no digest', { profile: 'rfc9421', components: ['@method'] }, 'components', 'must include "content-digest"'],
    [
      'a component twice',
      { profile: 'rfc9421', components: ['content-digest', 'content-digest'] },
      'components',
      'only once',
    ],
    [
      'an unknown component',
      { profile: 'rfc9421', components: ['content-digest', '@status'] },
      'components/1',
      'known: @method',
    ],
    [
      'a header in upper case',
      { profile: 'rfc9421', components: ['content-digest', 'Date'] },
      'components/1',
      'lower case',
    ],
    ['an expiry in the past', { profile: 'rfc9421', expiresSeconds: 0 }, 'expiresSeconds', 'at least 1'],
    [
      'a header with a meaning',
      { profile: 'hmac-timestamp', headerNames: { id: 'Host' } },
      'headerNames/id',
      'another meaning',
    ],
    [
      // Its text is the key: padded, it would be another one, and no signature would ever fit.
      'a secret without padding where its whole text is the key',
      { profile: 'hmac-timestamp', secret: `whsec_${Buffer.alloc(32, 7).toString('base64').replace('=', '')}` },
      'secret',
      'with its padding',
    ],
    [
      'one header for both',
      { profile: 'hmac-timestamp', headerNames: { id: 'x-webhook-signature' } },
      'headerNames/id',
      'another header',
    ],
    [
      'a header that is none',
      { profile: 'hmac-timestamp', headerNames: { signature: 'a b' } },
      'headerNames/signature',
      'not the name',
    ],
  ])('refuses %s, and says what to do', (_what, signature, pointer, detail) => {
    const [first = '', ...more] = problems(signature);
    expect(first).toContain(`/config/signature/${pointer}: `);
    expect(first).toContain(detail);
    expect(more).toEqual([]);
  });

  test('refuses to sign a request where there is none, and what it can not send (SA-9)', () => {
    const nats = { sink: 'nats://sink.example:4222', protocol: 'NATS', protocolsettings: { subject: 'a' } };
    for (const profile of ['rfc9421', 'http-signatures-draft-05']) {
      expect(problems({ profile }, nats)).toEqual([expect.stringContaining('the protocol NATS')]);
    }
    for (const profile of ['standard-webhooks', 'standard-webhooks-v1a', 'hmac-timestamp', 'none']) {
      expect(problems({ profile }, nats)).toEqual([]);
    }
    const headers = { protocolsettings: { headers: { 'X-Webhook-ID': 'a' } } };
    expect(problems({ profile: 'hmac-timestamp' }, headers)).toEqual([expect.stringContaining('/headerNames/id: ')]);
    expect(problems({ profile: 'hmac-timestamp', headerNames: { id: 'x-id' } }, headers)).toEqual([]);
  });
});

describe('a patch of the signature', () => {
  const current = subscriptionToResource(
    aSubscription({ spec: aSpec({ config: { signature: { profile: 'http-signatures-draft-05', verbatim: true } } }) }),
  );
  const patched = (signature: unknown) => {
    const parsed = parseSubscriptionPatch(current, { config: { signature } });
    return parsed.ok ? parsed.value.spec.config.signature : parsed.violations;
  };

  test('begins anew with another profile, and keeps the settings of the same one (RFC 7396)', () => {
    expect(patched({ profile: 'none' })).toEqual({ profile: 'none' });
    expect(patched({ profile: 'http-signatures-draft-05' })).toMatchObject({ verbatim: true });
    expect(patched({ verbatim: null })).toMatchObject({ profile: 'http-signatures-draft-05', verbatim: false });
    expect(patched(null)).toEqual({ profile: 'standard-webhooks' });
  });
});
