import { describe, expect, test } from '@jest/globals';
import { formatSecret } from '#core/signature/signing-secret';
import { ReceiverMisconfigured } from './receiver-misconfigured.ts';
import { sign, type SignSettings } from './sign.ts';
import { checkVerifyOptions, verify, type VerifiedNotification, type VerifyOptions } from './verify.ts';

const secret = formatSecret(new Uint8Array(32).fill(5));
const NOW = 1_700_000_000;
const options = { secrets: [secret], nowSeconds: NOW };
const binaryHeaders = {
  'ce-specversion': '1.0',
  'ce-id': 'e1',
  'ce-source': '/s',
  'ce-type': 'a.b',
  'content-type': 'text/plain',
};
const structuredHeaders = { 'Content-Type': 'application/cloudevents+json' };
const structuredText = '{"specversion":"1.0","id":"e1","source":"/s","type":"a.b"}';

function aNotification(
  headers: Record<string, string>,
  text: string,
  settings: SignSettings = { profile: 'standard-webhooks', secrets: [secret] },
) {
  const body = new TextEncoder().encode(text);
  const signed = sign({ messageId: 'dlv_1', timestampSeconds: NOW, body, headers }, settings);
  return { headers: { ...headers, ...Object.fromEntries(signed) }, body };
}

async function verified(
  notification: Parameters<typeof verify>[0],
  given: VerifyOptions = options,
): Promise<VerifiedNotification> {
  const result = await verify(notification, given);
  if (!result.ok) throw new Error(`${result.code}: ${result.detail}`);
  return result;
}

describe('verify', () => {
  test('reads a structured event with its attributes at hand and its exact data', async () => {
    const json =
      '{"specversion":"1.0","id":"e1","source":"/s","type":"a.b","subject":"x","partner":7,"data":{"n":12345678901234567890,"m":1.10}}';
    const result = await verified(aNotification(structuredHeaders, json));
    expect(result).toMatchObject({
      profile: 'standard-webhooks',
      messageId: 'dlv_1',
      idempotencyKey: 'dlv_1',
      timestampSeconds: NOW,
      mode: 'structured',
      attributesAreSigned: true,
    });
    const [event] = result.events;
    expect(event).toMatchObject({ specversion: '1.0', id: 'e1', source: '/s', type: 'a.b', subject: 'x' });
    expect(event.time).toBeUndefined();
    expect(event.attributes.get('partner')).toBe(7);
    expect(event.text()).toBe('{"n":12345678901234567890,"m":1.10}');
    expect(event.json()).toMatchObject({ m: 1.1 });
  });

  test('reads a binary event, and says whether its attributes are signed', async () => {
    const notification = aNotification(binaryHeaders, 'hello');
    const result = await verified(notification);
    expect(result).toMatchObject({ mode: 'binary', attributesAreSigned: false });
    expect(result.events[0]).toMatchObject({ source: '/s', datacontenttype: 'text/plain' });
    expect(result.events[0].text()).toBe('hello');
    expect(await verify(notification, { ...options, requireSignedAttributes: true })).toMatchObject({
      code: 'attributes_not_signed',
    });
  });

  test('reads a batch', async () => {
    const batch = `[${structuredText},${structuredText.replace('e1', 'e2')}]`;
    const headers = { 'content-type': 'application/cloudevents-batch+json' };
    const result = await verified(aNotification(headers, batch));
    expect(result.mode).toBe('batch');
    expect(result.events.map(({ id }) => id)).toEqual(['e1', 'e2']);
    expect(await verify(aNotification(headers, '[]'), options)).toMatchObject({ code: 'not_a_cloudevent' });
  });

  test('gives no id to deduplicate on that is not signed: then source and id of the event name it (CE-4)', async () => {
    const notification = aNotification(structuredHeaders, structuredText, {
      profile: 'hmac-timestamp',
      secrets: [secret],
    });
    const first = await verified(notification);
    const replayed = { ...notification, headers: { ...notification.headers, 'x-webhook-id': 'dlv_2' } };
    expect(first.messageId).toBeUndefined();
    expect((await verified(replayed)).idempotencyKey).toBe(first.idempotencyKey);
    const other = aNotification(structuredHeaders, structuredText.replace('e1', 'e2'), {
      profile: 'hmac-timestamp',
      secrets: [secret],
    });
    expect((await verified(other)).idempotencyKey).not.toBe(first.idempotencyKey);
  });

  test('trusts nothing whose signature does not fit, before it reads anything', async () => {
    const { headers } = aNotification(structuredHeaders, '{}');
    const altered = { headers, body: new TextEncoder().encode('[') };
    expect(await verify(altered, options)).toMatchObject({ ok: false, code: 'signature_mismatch' });
  });

  test('tells a bad signature from a good one around something that is not an event', async () => {
    const notAnEvent = await verify(aNotification(structuredHeaders, '{"id":1}'), options);
    expect(notAnEvent).toMatchObject({ ok: false, code: 'not_a_cloudevent' });
    expect(notAnEvent.ok ? [] : notAnEvent.violations).not.toHaveLength(0);
    expect(await verify(aNotification({ 'content-type': 'text/html' }, '<p>'), options)).toMatchObject({
      code: 'not_a_cloudevent',
    });
  });

  test('trusts what nobody signed only when told so, and never beside keys', async () => {
    const unsigned = aNotification(structuredHeaders, structuredText, { profile: 'none' });
    expect(await verify(unsigned, options)).toMatchObject({ code: 'missing_header' });
    expect(await verified(unsigned, { acceptUnsigned: true })).toMatchObject({ profile: 'none' });
    await expect(verify(unsigned, { ...options, acceptUnsigned: true })).rejects.toThrow(ReceiverMisconfigured);
    await expect(verify(unsigned, {})).rejects.toThrow('Nothing to verify with');
    await expect(verify(unsigned, { ...options, profiles: ['rfc9421'] })).rejects.toThrow('profiles');
  });
});

describe('options of callers without types', () => {
  const notification = aNotification(structuredHeaders, structuredText);
  const env: Record<string, string | undefined> = {};

  test.each([
    ['a secret that is not there', { secrets: [env['WEBHOOK_SECRET']] }, 'secrets[0] is undefined'],
    ['a key that is not there', { publicKeys: [env['WEBHOOK_PUBLIC_KEY']] }, 'publicKeys[0] is undefined'],
    ['a secret that is not in a list', { secrets: secret }, 'secrets must be a list'],
    ['a key that is not in a list', { publicKeys: 'whpk_' }, 'publicKeys must be a list'],
  ])('are refused by name, and at the start: %s', async (_, given, why) => {
    const wrong = given as unknown as VerifyOptions;
    expect(() => checkVerifyOptions(wrong)).toThrow(why);
    expect(() => checkVerifyOptions(wrong)).toThrow(ReceiverMisconfigured);
    await expect(verify(notification, wrong)).rejects.toThrow(why);
  });
});

describe('a body that is not raw', () => {
  test.each([
    ['a string', structuredText],
    ['an object', JSON.parse(structuredText) as unknown],
    ['nothing', undefined],
  ])('is refused before anything else: %s', async (_, given) => {
    const { headers } = aNotification(structuredHeaders, structuredText);
    const body = given as Uint8Array;
    expect(await verify({ headers, body }, options)).toMatchObject({ code: 'raw_body_required' });
  });

  const sent = '{\n  "specversion": "1.0",\n  "id": "é",\n  "source": "/s",\n  "type": "a.b"\n}\n';
  const compact = JSON.stringify(JSON.parse(sent));

  test.each([
    ['parsed and written again', compact, JSON.stringify(JSON.parse(compact), undefined, 2), 'as compact JSON'],
    ['parsed and written compactly', sent.trimEnd(), compact, 'indented by 2'],
    ['trimmed', sent, sent.trimEnd(), 'with a line break at its end'],
    ['given a line break', compact, `${compact}\n`, 'without the line break'],
    ['given CR LF', sent, sent.replaceAll('\n', '\r\n'), 'with LF'],
    ['given a byte order mark', compact, `\ufeff${compact}`, 'byte order mark'],
    ['decoded as Latin-1', compact, Buffer.from(compact).toString('latin1'), 'encoded once'],
  ])('is recognised, so that nobody looks for another secret: %s', async (_, sentText, receivedText, how) => {
    const { headers } = aNotification(structuredHeaders, sentText);
    const result = await verify({ headers, body: Buffer.from(receivedText) }, options);
    expect(result).toMatchObject({ ok: false, code: 'body_altered', detail: expect.stringContaining(how) });
  });

  test('is not said to be altered when the secret is wrong', async () => {
    const notification = aNotification(structuredHeaders, compact);
    const secrets = [formatSecret(new Uint8Array(32).fill(6))];
    expect(await verify(notification, { ...options, secrets })).toMatchObject({ code: 'signature_mismatch' });
  });
});
