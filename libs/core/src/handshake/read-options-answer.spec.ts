import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { HandshakeOffer } from './handshake-headers.ts';
import { handshakeHeaders } from './handshake-headers.ts';
import type { HandshakeExchange } from './handshake-verdict.ts';
import { readOptionsAnswer } from './read-options-answer.ts';

const ORIGIN = 'eventemitter.example.com';
const CALLBACK = 'https://posthaste.example/validate/sub_1?code=c';

interface VectorCase {
  readonly name: string;
  readonly request: { readonly origin: string; readonly rate?: number; readonly callback?: boolean };
  readonly response: { readonly status: number; readonly headers: Readonly<Record<string, string>> };
  readonly outcome: string;
  readonly ratePerMinute?: number | null;
}

const vectors = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/webhook-handshake-and-delivery.json', import.meta.url), 'utf8'),
) as { readonly validation: readonly VectorCase[] };

/** What the vectors call an outcome, in our words; an invalid rate is no consent. */
const VERDICTS: Readonly<Record<string, string>> = {
  granted: 'granted',
  'granted at requested rate or refused (policy; target violated a MUST)': 'granted',
  denied: 'denied',
  'invalid rate': 'denied',
  'pending-callback': 'pending',
  'not-granted': 'unsupported',
};

function answer(status: number, headers: readonly (readonly [string, string])[] = []): HandshakeExchange {
  return { kind: 'response', status, headers };
}

const offer: HandshakeOffer = { origin: ORIGIN };

describe('the answer to a handshake', () => {
  test('there are vectors', () => {
    expect(vectors.validation.length).toBeGreaterThanOrEqual(8);
  });

  test.each(vectors.validation.map((row) => [row.name, row] as const))(
    'is read as the vectors say: %s',
    (_name, row) => {
      const { origin, rate, callback } = row.request;
      const asked: HandshakeOffer = {
        origin,
        ...(rate === undefined ? {} : { requestedRatePerMinute: rate }),
        ...(callback === true ? { callbackUrl: CALLBACK } : {}),
      };
      const verdict = readOptionsAnswer(answer(row.response.status, Object.entries(row.response.headers)), asked);
      expect(verdict.kind).toBe(VERDICTS[row.outcome]);
      if (verdict.kind !== 'granted') return;
      const expectedRate = row.ratePerMinute === null ? '*' : (row.ratePerMinute ?? rate);
      expect(verdict.allowedRate).toBe(expectedRate);
    },
  );

  test.each([204, 202, 400, 405, 500, 503])(
    'is consent by its headers alone, whatever the status: %i (WH-12)',
    (status) => {
      const consent = answer(status, [['WebHook-Allowed-Origin', ORIGIN]]);
      expect(readOptionsAnswer(consent, offer)).toEqual({ kind: 'granted', origin: ORIGIN });
    },
  );

  test('is compared without regard to letter case, and only as a whole (WH-14)', () => {
    const of = (value: string) => readOptionsAnswer(answer(200, [['webhook-allowed-origin', value]]), offer).kind;
    expect(of('EventEmitter.Example.COM')).toBe('granted');
    expect(of(' eventemitter.example.com ')).toBe('granted');
    expect(of('example.com')).toBe('denied');
    expect(of('eventemitter.example.com.')).toBe('denied');
    expect(of('xeventemitter.example.com')).toBe('denied');
    expect(of('*.example.com')).toBe('denied');
  });

  test('may name several origins, in lines of their own or joined by a proxy', () => {
    const several = [
      ['WebHook-Allowed-Origin', 'other.example.com'],
      ['WebHook-Allowed-Origin', ORIGIN],
    ] as const;
    expect(readOptionsAnswer(answer(200, several), offer).kind).toBe('granted');
    const joined = [['WebHook-Allowed-Origin', `other.example.com, ${ORIGIN}`]] as const;
    expect(readOptionsAnswer(answer(200, joined), offer).kind).toBe('granted');
    expect(readOptionsAnswer(answer(200, [['WebHook-Allowed-Origin', 'a.example, b.example']]), offer).kind).toBe(
      'denied',
    );
  });

  test.each(['0', '-1', '1.5', 'many', '1e3', '12, 13'])('is no consent with the rate %j (WH-12)', (rate) => {
    const headers = [
      ['webhook-allowed-origin', '*'],
      ['webhook-allowed-rate', rate],
    ] as const;
    expect(readOptionsAnswer(answer(200, headers), offer)).toMatchObject({
      kind: 'denied',
      detail: expect.stringContaining(JSON.stringify(rate)),
    });
  });

  test.each([404, 405, 410, 501])('tells that there is no handshake, callback or not: %i (WH-13)', (status) => {
    expect(readOptionsAnswer(answer(status), { ...offer, callbackUrl: CALLBACK }).kind).toBe('unsupported');
    expect(readOptionsAnswer(answer(status), offer).kind).toBe('unsupported');
  });

  test.each([200, 204, 302, 400, 401, 403])('leaves the callback open: %i (WH-13)', (status) => {
    expect(readOptionsAnswer(answer(status), { ...offer, callbackUrl: CALLBACK }).kind).toBe('pending');
    expect(readOptionsAnswer(answer(status), offer).kind).toBe('unsupported');
  });

  test.each([408, 425, 429, 500, 502, 503, 504])('says nothing, so the sink is asked again: %i (WH-13)', (status) => {
    const exchange = { ...answer(status), retryAfter: '7' } as HandshakeExchange;
    expect(readOptionsAnswer(exchange, { ...offer, callbackUrl: CALLBACK })).toMatchObject({
      kind: 'unanswered',
      retryAfter: '7',
    });
  });

  test('is asked for again when the sink could not be reached', () => {
    const exchange = { kind: 'error', error: 'connect_refused', message: 'nobody listens' } as const;
    expect(readOptionsAnswer(exchange, offer)).toEqual({
      kind: 'unanswered',
      detail: 'The sink could not be asked: nobody listens',
    });
  });
});

interface Receiver {
  readonly name: string;
  readonly asked: VectorCase['request'];
  readonly response: { readonly status: number; readonly headers: readonly (readonly [string, string])[] };
  readonly outcome: string;
  readonly ratePerMinute?: number;
}

const recorded = JSON.parse(
  readFileSync(new URL('../../../../test/vectors/handshake-receivers.json', import.meta.url), 'utf8'),
) as { readonly receivers: readonly Receiver[] };

describe("other people's receivers", () => {
  test.each(recorded.receivers.map((one) => [one.name, one] as const))(
    '%s',
    (_name, { asked, response, ...expected }) => {
      const verdict = readOptionsAnswer(answer(response.status, response.headers), {
        origin: asked.origin,
        ...(asked.rate === undefined ? {} : { requestedRatePerMinute: asked.rate }),
        ...(asked.callback === true ? { callbackUrl: CALLBACK } : {}),
      });
      expect(verdict.kind).toBe(expected.outcome);
      if (verdict.kind === 'granted') expect(verdict.allowedRate).toBe(expected.ratePerMinute);
    },
  );
});

describe('the headers of a handshake (WH-11)', () => {
  test('name the origin always, the rate and the callback when there are any', () => {
    expect(handshakeHeaders(offer)).toEqual([['webhook-request-origin', ORIGIN]]);
    expect(handshakeHeaders({ origin: ORIGIN, requestedRatePerMinute: 120, callbackUrl: CALLBACK })).toEqual([
      ['webhook-request-origin', ORIGIN],
      ['webhook-request-rate', '120'],
      ['webhook-request-callback', CALLBACK],
    ]);
  });
});
