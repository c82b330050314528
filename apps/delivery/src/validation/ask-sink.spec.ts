import { describe, expect, test } from '@jest/globals';
import type { HandshakeExchange } from '#core/handshake/handshake-verdict';
import { DEFAULT_VALIDATION } from '#core/registry/current-spec';
import type { ValidationPolicy } from '#core/registry/subscription';
import type { GuardedRequest } from '#outbound/guarded-client';
import { aSpec, aSubscription } from '#testkit/a-subscription';
import { makeAskSink, type AskPorts } from './ask-sink.ts';

const ORIGIN = 'posthaste.example';
const CODE = 'code';
const SINK = 'https://sink.example/hook?key=1';

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Map<string, string>;
  readonly body: string;
}

function answer(status: number, headers: Readonly<Record<string, string>> = {}, text = ''): HandshakeExchange {
  return { kind: 'response', status, headers: Object.entries(headers), body: { text, truncated: false } };
}

const CONSENT = answer(200, { 'webhook-allowed-origin': ORIGIN, 'webhook-allowed-rate': '*' });

/** Asks a sink with this policy that answers one after another of these. */
async function ask(
  policy: Partial<ValidationPolicy>,
  answers: readonly HandshakeExchange[],
  ports: Partial<AskPorts> = {},
) {
  const asked: Asked[] = [];
  const askSink = makeAskSink(
    {
      exchange({ method, url, headers, body }: GuardedRequest) {
        asked.push({ method, url, headers: new Map(headers), body: new TextDecoder().decode(body) });
        return Promise.resolve(answers[asked.length - 1] ?? answer(500));
      },
      callbackUrl: (subscription, code) => `https://${ORIGIN}/validate/${subscription}?code=${code}`,
      identityOf: () => Promise.resolve(undefined),
      now: () => 0,
      ...ports,
    },
    { origin: ORIGIN, userAgentOf: (tenant) => `Hooks-of-${tenant}/1` },
  );
  const spec = aSpec({
    sink: SINK,
    protocolsettings: { method: 'POST', headers: { 'x-route': 'blue' } },
    config: { validation: { ...DEFAULT_VALIDATION, ...policy } },
  });
  const validation = { status: 'requested', attempts: 1, codeHash: 'ab'.repeat(32) } as const;
  return { ...(await askSink(aSubscription({ spec, validation }), CODE)), asked };
}

const offers = (asked: readonly Asked[]): boolean[] =>
  asked.map(({ headers }) => headers.has('webhook-request-callback'));

describe('asking by OPTIONS', () => {
  test('goes to the exact sink with origin, rate and the headers of the subscriber (WH-11)', async () => {
    const { asked, via, verdict } = await ask({ requestedRate: 120 }, [CONSENT]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ method: 'OPTIONS', url: SINK, body: '' });
    expect(Object.fromEntries(asked[0]?.headers ?? [])).toEqual({
      'user-agent': 'Hooks-of-acme/1',
      'x-route': 'blue',
      'webhook-request-origin': ORIGIN,
      'webhook-request-rate': '120',
    });
    expect([via, verdict]).toEqual(['options', { kind: 'granted', origin: ORIGIN, allowedRate: '*' }]);
  });

  test('offers the callback in a second request when the first got no headers (WH-15, D10)', async () => {
    const { asked, verdict } = await ask({ callback: 'fallback' }, [answer(200), answer(200)]);
    expect(offers(asked)).toEqual([false, true]);
    expect(asked[1]?.headers.get('webhook-request-callback')).toMatch(/^https:.*\/validate\/sub_.*\?code=code$/);
    expect(verdict.kind).toBe('pending');
  });

  test('takes the consent that only the second request gets', async () => {
    const { verdict } = await ask({ callback: 'fallback' }, [answer(200), CONSENT]);
    expect(verdict.kind).toBe('granted');
  });

  test.each([
    ['there is no OPTIONS', answer(405), 'unsupported'],
    ['the sink names another origin', answer(200, { 'webhook-allowed-origin': 'other.example' }), 'denied'],
    ['the sink is broken', answer(503), 'unanswered'],
    ['nobody is there', { kind: 'error', error: 'reset', message: 'reset' }, 'unanswered'],
  ] as const)('does not offer a callback when %s', async (_when, first, expected) => {
    const { asked, verdict } = await ask({ callback: 'fallback' }, [first]);
    expect(offers(asked)).toEqual([false]);
    expect(verdict.kind).toBe(expected);
  });

  test('offers it at once with "always", and not at all with "never"', async () => {
    const always = await ask({ callback: 'always' }, [answer(200)]);
    expect([offers(always.asked), always.verdict.kind]).toEqual([[true], 'pending']);
    const never = await ask({ callback: 'never' }, [answer(200)]);
    expect([offers(never.asked), never.verdict.kind]).toEqual([[false], 'unsupported']);
  });

  test('offers none when this installation does not know its own URL', async () => {
    const { asked, verdict } = await ask({ callback: 'always' }, [answer(200)], { callbackUrl: () => undefined });
    expect([offers(asked), verdict.kind]).toEqual([[false], 'unsupported']);
  });
});

describe('asking in the manner of Event Grid', () => {
  test('posts the validation event and takes the code for consent', async () => {
    const { asked, via, verdict } = await ask({ method: 'event-grid' }, [
      answer(200, {}, '{"validationResponse":"code"}'),
    ]);
    expect(asked[0]).toMatchObject({ method: 'POST', url: SINK });
    expect(asked[0]?.headers.get('aeg-event-type')).toBe('SubscriptionValidation');
    expect(JSON.parse(asked[0]?.body ?? '')).toMatchObject([
      { id: `val_${'ab'.repeat(16)}`, data: { validationCode: CODE, validationUrl: expect.stringContaining(CODE) } },
    ]);
    expect([via, verdict]).toEqual(['event-grid', { kind: 'granted', origin: ORIGIN }]);
  });

  test('waits for the validation URL to be opened', async () => {
    const { verdict } = await ask({ method: 'event-grid' }, [answer(200)]);
    expect(verdict.kind).toBe('pending');
  });
});

describe('asking in the manner of Fatture in Cloud', () => {
  test('sends the challenge as a header', async () => {
    const { asked, via, verdict } = await ask({ method: 'fic' }, [answer(200, {}, '{"verification":"code"}')]);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toMatchObject({ method: 'GET', url: SINK });
    expect(asked[0]?.headers.get('x-fic-verification-challenge')).toBe(CODE);
    expect([via, verdict]).toEqual(['fic', { kind: 'granted', origin: ORIGIN }]);
  });

  test('and in the query, when nothing came of the header', async () => {
    const { asked, verdict } = await ask({ method: 'fic' }, [
      answer(200, {}, '{}'),
      answer(200, {}, '{"verification":"code"}'),
    ]);
    expect(asked[1]?.url).toBe(`${SINK}&x-fic-verification-challenge=code`);
    expect(asked[1]?.headers.has('x-fic-verification-challenge')).toBe(false);
    expect(verdict.kind).toBe('granted');
  });
});
