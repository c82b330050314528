import type { Socket } from 'node:net';
import { STATUS_CODES } from 'node:http';
import { problemDocument, type Problem } from './problem.ts';

/** Answers what the parser of HTTP has refused, which is no request yet, by a problem document as everything else. */
export function answerClientError(
  { code }: { readonly code?: string },
  socket: Pick<Socket, 'writable' | 'end' | 'destroy'>,
): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const problem = PROBLEMS[code ?? ''] ?? MALFORMED;
  const body = JSON.stringify(problemDocument(problem));
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`,
    'content-type: application/problem+json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy());
}

const PROBLEMS: Readonly<Record<string, Problem>> = {
  HPE_HEADER_OVERFLOW: {
    status: 431,
    code: 'headers-too-large',
    detail: 'The headers are larger than this service accepts.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: 408,
    code: 'request-timeout',
    detail: 'The request did not end in time; send it again.',
  },
};
const MALFORMED: Problem = { status: 400, code: 'malformed-http', detail: 'This is not a request of HTTP/1.1.' };
