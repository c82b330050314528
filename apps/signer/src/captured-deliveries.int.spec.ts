import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { Webhook } from 'standardwebhooks';
import Stripe from 'stripe';
import { Webhook as SvixWebhook } from 'svix';
import { SIGNATURE_PROFILES, type SignatureProfile } from '#core/signature/signature-settings';
import {
  isValidByOpenssl,
  isValidDraft05,
  isValidRfc9421,
  readWireRequest,
  type WireRequest,
} from '#testkit/foreign-verifiers';

interface Captured {
  readonly name: string;
  readonly profile: SignatureProfile;
  readonly atSeconds: number;
  readonly publicKey?: object;
  readonly secrets?: readonly string[];
  /** The whole request, as UTF-8. */
  readonly request: string;
}

const { captures } = JSON.parse(readFileSync('test/vectors/captured-deliveries.json', 'utf8')) as {
  captures: readonly Captured[];
};

type Verify = (request: WireRequest, captured: Required<Captured>) => boolean | Promise<boolean>;

/** How each profile is verified by code that is not ours. */
const VERIFIERS: Readonly<Record<Exclude<SignatureProfile, 'none'>, Verify>> = {
  'standard-webhooks': ({ headers, body }, { secrets }) =>
    secrets
      .flatMap((secret) => [new Webhook(secret), new SvixWebhook(secret)])
      .every((peer) => passes(() => peer.verify(body.toString(), { ...headers }))),
  'standard-webhooks-v1a': ({ headers, body }, { publicKey }) => {
    const content = `${headers['webhook-id'] ?? ''}.${headers['webhook-timestamp'] ?? ''}.${body.toString()}`;
    const signature = (headers['webhook-signature'] ?? '').replace(/^v1a,/, '');
    return isValidByOpenssl(publicKey, Buffer.from(content), Buffer.from(signature, 'base64'));
  },
  rfc9421: (request, { publicKey }) =>
    isValidRfc9421(request, publicKey, {
      scheme: 'http',
      required: ['@method', '@target-uri', 'content-digest', 'content-type'],
    }),
  'http-signatures-draft-05': (request, { publicKey }) => isValidDraft05(request, publicKey),
  'hmac-timestamp': ({ headers, body }, { secrets }) =>
    secrets.every((secret) =>
      passes(() => Stripe.webhooks.constructEvent(body.toString(), headers['x-webhook-signature'] ?? '', secret)),
    ),
};

afterEach(() => {
  jest.useRealTimers();
});

describe('deliveries as sinks got them', () => {
  const signed = captures.filter(({ profile }) => profile !== 'none');

  test.each(signed)('are verified by code that is not ours: $name', async (captured) => {
    jest.useFakeTimers({ now: captured.atSeconds * 1000, doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] });
    const verify = VERIFIERS[captured.profile as keyof typeof VERIFIERS];
    const request = readWireRequest(Buffer.from(captured.request));
    const material = captured as Required<Captured>;
    expect(await verify(request, material)).toBe(true);
    const altered = Buffer.from(request.body.toString().replace('Example', 'Fxample'));
    expect(await verify({ ...request, body: altered }, material)).toBe(false);
  });

  test('are of every profile, and carry no signature when there is none', () => {
    expect(new Set(captures.map(({ profile }) => profile))).toEqual(new Set(SIGNATURE_PROFILES));
    const [unsigned] = captures.filter(({ profile }) => profile === 'none');
    const { headers } = readWireRequest(Buffer.from(unsigned?.request ?? ''));
    expect(Object.keys(headers).filter((name) => /signature|digest|webhook/.test(name))).toEqual([]);
  });
});

function passes(verify: () => unknown): boolean {
  try {
    verify();
    return true;
  } catch {
    return false;
  }
}
