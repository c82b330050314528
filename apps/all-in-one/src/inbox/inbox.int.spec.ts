import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { startService, type RunningService } from '#platform/bootstrap';
import { sign } from '#receiver/sign';
import { InboxModule } from './inbox.module.ts';
import type { NotificationResource } from './notification-resource.ts';

const EVENT = {
  specversion: '1.0',
  id: '1',
  source: '/test',
  type: 'com.example.<script>alert(1)</script>',
  datacontenttype: 'application/json',
  data: { '</pre><img src=x onerror=alert(2)>': 1 },
};

let service: RunningService;

beforeAll(async () => {
  const config = {
    POSTHASTE_HTTP_HOST: '127.0.0.1',
    POSTHASTE_HTTP_PORT: 0,
    POSTHASTE_INBOX_URL: 'http://127.0.0.1:1/inbox',
    POSTHASTE_INBOX_KEY: 'a key of the test, long enough to be one',
  };
  service = await startService({ name: 'inbox', config, logger: pino({ level: 'silent' }), modules: [InboxModule] });
});

afterAll(() => service.stop());

interface Listed {
  readonly data: NotificationResource[];
  readonly next?: string;
  readonly secret: string;
}

async function listOf(inbox: string, query = ''): Promise<Listed> {
  return (await (await fetch(`${service.url}/inbox/${inbox}/notifications${query}`)).json()) as Listed;
}

interface Posted {
  readonly secret?: string;
  readonly messageId?: string;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

async function post(
  inbox: string,
  { secret, messageId = 'dlv_1', query = '', headers = {} }: Posted,
): Promise<Response> {
  const body = Buffer.from(JSON.stringify(EVENT));
  const signable = { messageId, timestampSeconds: Math.floor(Date.now() / 1000), body };
  const signed =
    secret === undefined ? {} : Object.fromEntries(sign(signable, { profile: 'standard-webhooks', secrets: [secret] }));
  return fetch(`${service.url}/inbox/${inbox}${query}`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json', ...signed, ...headers },
    body,
  });
}

describe('an inbox', () => {
  test('verifies a notification that is signed with its secret (SW-1)', async () => {
    const { secret } = await listOf('good');
    expect((await post('good', { secret })).status).toBe(204);
    const { data } = await listOf('good');
    expect(data).toMatchObject([
      {
        verified: true,
        webhookId: 'dlv_1',
        attempt: 1,
        duplicate: false,
        answeredStatus: 204,
        event: { id: '1', source: '/test', type: EVENT.type },
        body: JSON.stringify(EVENT),
      },
    ]);
  });

  test('takes what is not verified too and says why', async () => {
    const { secret: otherSecret } = await listOf('other');
    expect((await post('bad', { secret: otherSecret })).status).toBe(204);
    expect((await post('bad', {})).status).toBe(204);
    const { data } = await listOf('bad');
    expect(data.map(({ verified, problem }) => [verified, problem?.code])).toEqual([
      [false, 'missing_header'],
      [false, 'signature_mismatch'],
    ]);
    const page = await (await fetch(`${service.url}/inbox/bad`)).text();
    expect(page).toContain('not verified');
    expect(page).toContain('make it again with the secret at the top of this page');
  });

  test('shows nothing of a notification as HTML', async () => {
    const { secret } = await listOf('page');
    await post('page', { secret, headers: { 'x-note': '<b>bold</b>', authorization: 'Bearer very-secret' } });
    const answer = await fetch(`${service.url}/inbox/page`);
    const page = await answer.text();
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(page).toContain('signature verified');
    expect(page).toContain('com.example.&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page).not.toMatch(/<script>alert|<img|<b>bold|very-secret/);
  });

  test.each(['style', 'script'])('lets the page use its own %s', async (element) => {
    const answer = await fetch(`${service.url}/inbox/look`);
    const text = new RegExp(`<${element}[^>]*>([^<]*)</${element}>`).exec(await answer.text())?.[1] ?? '';
    const hash = createHash('sha256').update(text).digest('base64');
    expect(answer.headers.get('content-security-policy')).toContain(`${element}-src 'sha256-${hash}'`);
  });

  test('plays a bad sink for the first attempts of each webhook-id, then marks duplicates', async () => {
    const { secret } = await listOf('ill');
    const query = '?status=500&times=1&retryAfterSeconds=3';
    const first = await post('ill', { secret, query });
    expect([first.status, first.headers.get('retry-after')]).toEqual([500, '3']);
    expect((await post('ill', { secret, query })).status).toBe(204);
    expect((await post('ill', { secret, query })).status).toBe(204);
    expect((await post('ill', { secret, query, messageId: 'dlv_2' })).status).toBe(500);
    const { data } = await listOf('ill');
    expect(data.map((one) => [one.webhookId, one.attempt, one.answeredStatus, one.duplicate])).toEqual([
      ['dlv_2', 1, 500, false],
      ['dlv_1', 3, 204, true],
      ['dlv_1', 2, 204, false],
      ['dlv_1', 1, 500, false],
    ]);
  });

  test('pages with a cursor', async () => {
    for (const messageId of ['dlv_a', 'dlv_b', 'dlv_c']) await post('pages', { messageId });
    const first = await listOf('pages', '?limit=2');
    const second = await listOf('pages', `?limit=2&after=${first.next ?? ''}`);
    expect([first.data.length, second.data.length, second.next]).toEqual([2, 1, undefined]);
    const page = await (await fetch(`${service.url}/inbox/pages?limit=2`)).text();
    expect(page).toContain(`href="/inbox/pages?after=${first.next ?? ''}"`);
  });

  test('answers the handshake of abuse protection', async () => {
    const answer = await fetch(`${service.url}/inbox/shake`, {
      method: 'OPTIONS',
      headers: { 'webhook-request-origin': 'posthaste.example' },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('webhook-allowed-origin')).toBe('posthaste.example');
    expect(answer.headers.get('webhook-allowed-rate')).toBe('*');
  });

  test.each([
    ['/inbox/a?status=1', 'POST', 400],
    ['/inbox/a?after=x', 'GET', 400],
    ['/inbox/%3Cb%3E', 'GET', 404],
    ['/inbox/%3Cb%3E', 'POST', 404],
  ])('refuses %s (%s) with a problem', async (path, method, status) => {
    const answer = await fetch(service.url + path, { method });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  });
});
