import { PassThrough } from 'node:stream';
import { expect, test } from '@jest/globals';
import { answerClientError } from './client-error.ts';

async function answerTo(code: string): Promise<string> {
  const socket = new PassThrough();
  const written: string[] = [];
  socket.setEncoding('utf8').on('data', (text: string) => written.push(text));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  answerClientError({ code }, socket as never);
  await closed;
  return written.join('');
}

test.each([
  ['HPE_HEADER_OVERFLOW', 431, 'headers-too-large'],
  ['ERR_HTTP_REQUEST_TIMEOUT', 408, 'request-timeout'],
  ['HPE_INVALID_METHOD', 400, 'malformed-http'],
])('what the parser refuses with %s is answered %d by a problem document, and closed', async (code, status, told) => {
  const [head = '', body = ''] = (await answerTo(code)).split('\r\n\r\n');
  expect(head.split('\r\n')).toEqual([
    expect.stringMatching(new RegExp(`^HTTP/1\\.1 ${status} `)),
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ]);
  expect(JSON.parse(body)).toMatchObject({ status, code: told });
});

test('who is gone is not answered', async () => {
  expect(await answerTo('ECONNRESET')).toBe('');
});
