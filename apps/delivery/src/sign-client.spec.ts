import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, test } from '@jest/globals';
import { decodeSignRequests, encodeSignReplies, type SignReply, type SignRequest } from '#contracts/bus/sign';
import type { SubscriptionId, TenantId } from '#core/ids';
import { makeSignClient, SignatureRefused, SignerUnavailable, type SignClientOptions } from './sign-client.ts';

function aRequest(messageId: string, bodyBytes = 2): SignRequest {
  const ids = { subscription: 'sub_1' as SubscriptionId, tenant: 'acme' as TenantId };
  return { ...ids, messageId, timestampSeconds: 1, body: new Uint8Array(bodyBytes) };
}

const echo = ({ messageId }: SignRequest): SignReply => ({ ok: true, headers: [['webhook-id', messageId]] });

/** A signer that answers when told to, on a clock that only `sleep` moves. */
function aSigner(options: Partial<SignClientOptions> = {}) {
  const asked: { requests: SignRequest[]; bytes: number; answer: (reply?: typeof echo) => void; fail: () => void }[] =
    [];
  let nowMs = 0;
  const client = makeSignClient({
    request: (payload) =>
      new Promise((resolve, reject) => {
        const requests = decodeSignRequests(payload);
        asked.push({
          requests,
          bytes: payload.length,
          answer: (reply = echo) => {
            resolve(encodeSignReplies(requests.map(reply)));
          },
          fail: () => {
            reject(new Error('nobody serves signer.sign'));
          },
        });
      }),
    now: () => nowMs,
    sleep(ms) {
      nowMs += ms;
      return Promise.resolve();
    },
    ...options,
  });
  const idsAsked = () => asked.map(({ requests }) => requests.map(({ messageId }) => messageId).join(' '));
  return { sign: client.sign, asked, idsAsked };
}

describe('the sign client', () => {
  test('sends what comes in one turn of the event loop as one batch', async () => {
    const { sign, asked, idsAsked } = aSigner();
    const signed = ['a', 'b', 'c'].map((id) => sign(aRequest(id)));
    await nextTurn();
    expect(idsAsked()).toEqual(['a b c']);
    asked[0]?.answer();
    expect(await Promise.all(signed)).toEqual([[['webhook-id', 'a']], [['webhook-id', 'b']], [['webhook-id', 'c']]]);
  });

  test('asks again for what waits for a credential that is being renewed, and gives up after a while', async () => {
    const { sign, asked } = aSigner();
    const pending = (): SignReply => ({ ok: false, reason: 'credential_pending', detail: 'soon' });
    const answered = sign(aRequest('a'));
    for (const reply of [pending, pending, echo]) {
      for (const before = asked.length; asked.length === before && !(before === 0 && asked.length > 0);)
        await nextTurn();
      asked.at(-1)?.answer(reply);
      await nextTurn();
    }
    expect(await answered).toEqual([['webhook-id', 'a']]);
    const refused = sign(aRequest('b')).catch((error: unknown) => error);
    const first = asked.length;
    while (asked.length < first + 9) {
      await nextTurn();
      asked.at(-1)?.answer(pending);
    }
    expect(await refused).toMatchObject({ reason: 'credential_pending', detail: 'soon', isForGood: false });
    expect(asked).toHaveLength(first + 9);
  });

  test('gathers while enough batches are under way', async () => {
    const { sign, asked, idsAsked } = aSigner({ maxBatchesInFlight: 1 });
    const signed: unknown[] = [];
    for (const id of ['a', 'b', 'c']) {
      signed.push(sign(aRequest(id)));
      await nextTurn();
    }
    expect(idsAsked()).toEqual(['a']);
    asked[0]?.answer();
    await nextTurn();
    await nextTurn();
    expect(idsAsked()).toEqual(['a', 'b c']);
    asked[1]?.answer();
    await Promise.all(signed);
  });

  test('keeps batches within count and bytes; a body that is larger goes alone', async () => {
    const { sign, asked } = aSigner({ maxBatchCount: 3, maxBatchBytes: 1000, maxBatchesInFlight: 100 });
    const sizes = [10, 10, 10, 10, 500, 500, 5000, 10];
    const signed = sizes.map((size, i) => sign(aRequest(`m${i}`, size)));
    await nextTurn();
    expect(asked.map(({ requests }) => requests.map(({ body }) => body.length))).toEqual([
      [10, 10, 10],
      [10, 500],
      [500],
      [5000],
      [10],
    ]);
    for (const { bytes, requests } of asked) expect(bytes <= 1000 || requests.length === 1).toBe(true);
    for (const { answer } of asked) answer();
    await Promise.all(signed);
  });

  test('asks again while the signer is away, with growing pauses, and loses nothing', async () => {
    const pauses: number[] = [];
    const { sign, asked, idsAsked } = aSigner({
      maxBatchesInFlight: 1,
      now: () => 0,
      sleep(ms) {
        pauses.push(ms);
        return Promise.resolve();
      },
    });
    const signed = [sign(aRequest('a'))];
    for (let i = 0; i < 7; i++) {
      await nextTurn();
      asked.at(-1)?.fail();
      await nextTurn();
      if (i === 0) signed.push(sign(aRequest('b')));
    }
    await nextTurn();
    expect(pauses).toEqual([50, 100, 200, 400, 800, 1000, 1000]);
    expect(idsAsked().at(-1)).toBe('a b');
    asked.at(-1)?.answer();
    expect(await Promise.all(signed)).toHaveLength(2);
  });

  test('gives up when its patience is over, which is no fault of the delivery', async () => {
    const { sign } = aSigner({
      request: () => Promise.reject(new Error('nobody serves signer.sign')),
      patienceMs: 5000,
    });
    const failed = await sign(aRequest('a')).catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(SignerUnavailable);
    expect(failed).toMatchObject({ code: 'signer.unavailable', message: 'No signer answered within 5000 ms.' });
  });

  test('takes an answer that does not fit the question for a failure', async () => {
    let asks = 0;
    const { sign } = aSigner({
      request(payload) {
        const requests = decodeSignRequests(payload);
        return Promise.resolve(asks++ === 0 ? encodeSignReplies([]) : encodeSignReplies(requests.map(echo)));
      },
    });
    expect(await sign(aRequest('a'))).toEqual([['webhook-id', 'a']]);
    expect(asks).toBe(2);
  });

  test('passes a refusal on to the one it concerns', async () => {
    const { sign, asked } = aSigner();
    const signed = Promise.allSettled([sign(aRequest('a')), sign(aRequest('bad')), sign(aRequest('c'))]);
    await nextTurn();
    asked[0]?.answer((request) => (request.messageId === 'bad' ? { ok: false, reason: 'no_secret' } : echo(request)));
    const [a, bad, c] = await signed;
    expect([a.status, bad.status, c.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    const reason: unknown = bad.status === 'rejected' ? bad.reason : undefined;
    expect(reason).toBeInstanceOf(SignatureRefused);
    expect(reason).toMatchObject({ code: 'signer.refused', reason: 'no_secret' });
  });

  test('refuses at once what no message can carry, without asking and without holding up others', async () => {
    const { sign, asked, idsAsked } = aSigner({ maxMessageBytes: () => 1000 });
    await expect(sign(aRequest('large', 2000))).rejects.toMatchObject({ reason: 'too_large', isForGood: true });
    const small = sign(aRequest('small'));
    await nextTurn();
    expect(idsAsked()).toEqual(['small']);
    asked[0]?.answer();
    expect(await small).toEqual([['webhook-id', 'small']]);
  });

  test('refuses a header that no message has room for, so that it does not fail the batches it is in', async () => {
    const { sign, asked, idsAsked } = aSigner();
    const withHeader = (messageId: string, length: number): SignRequest => {
      const headers = [['ce-large', 'x'.repeat(length)]] as const;
      return { ...aRequest(messageId), head: { method: 'POST', url: 'https://sink.example/', headers } };
    };
    const signed = Promise.allSettled([sign(withHeader('poison', 65_536)), sign(withHeader('largest', 65_535))]);
    await nextTurn();
    expect(idsAsked()).toEqual(['largest']);
    asked[0]?.answer();
    const [poison, largest] = await signed;
    expect(poison).toMatchObject({ status: 'rejected', reason: { reason: 'too_large', isForGood: true } });
    expect(largest.status).toBe('fulfilled');
  });
});
