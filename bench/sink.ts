import { createServer as createTcpServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { nowUs, readMarker } from './bench-event.ts';
import { answerParent } from './child.ts';

// Sinks with an address each. Not node:http: its parser and objects cost about as much CPU as the whole of `bare`, on the same cores.

/** How a sink behaves. `accept`: 204, after a while. `hang`: never answers. `refuse` throttles with Retry-After, or fails. */
export type SinkAnswer =
  | { readonly kind: 'accept'; readonly afterMs: number }
  | { readonly kind: 'refuse'; readonly status: number; readonly retryAfterSeconds?: number }
  | { readonly kind: 'hang' };

/** A sink has an address of its own, as real ones do: whoever sends keeps TLS sessions by host. */
export interface SinkSetup {
  readonly host: string;
  readonly answer: SinkAnswer;
}

export type SinkMessage =
  | { readonly kind: 'start'; readonly key?: string; readonly cert?: string; readonly sinks: readonly SinkSetup[] }
  /** Forget what came; count these. */
  | { readonly kind: 'reset'; readonly expected: number }
  /** Answered when all have come, or nothing new for `idleMs`. */
  | { readonly kind: 'wait'; readonly idleMs: number }
  /** Answered with the number of requests since the last `reset`. */
  | { readonly kind: 'count' };

export interface SinkReport {
  readonly received: number;
  readonly unique: number;
  /** Ascending, microseconds. */
  readonly latenciesUs: Float64Array;
  readonly firstUs: number;
  readonly lastUs: number;
}

const ACCEPTED = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');
const NOTHING = Buffer.alloc(0);

let seen = new Uint8Array(0);
let latencies: number[] = [];
let unique = 0;
let firstUs = 0;
let lastUs = 0;

function count(request: Buffer, bodyAt: number): void {
  const marker = readMarker(request, bodyAt);
  if (marker === undefined) return;
  lastUs = nowUs();
  if (latencies.length === 0) firstUs = lastUs;
  latencies.push(lastUs - marker.dueUs);
  if (seen[marker.n] === 0) unique++;
  seen[marker.n] = 1;
}

const serve =
  (answer: SinkAnswer) =>
  (socket: Socket): void => {
    let buffered: Buffer = NOTHING;
    socket.setNoDelay(true);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      buffered = buffered.length === 0 ? chunk : Buffer.concat([buffered, chunk]);
      for (;;) {
        const headEnd = buffered.indexOf(HEAD_END);
        if (headEnd < 0) return;
        const bodyAt = headEnd + HEAD_END.length;
        const end = bodyAt + contentLength(buffered.toString('latin1', 0, headEnd));
        if (buffered.length < end) return;
        count(buffered.subarray(0, end), bodyAt);
        buffered = end === buffered.length ? NOTHING : buffered.subarray(end);
        respond(socket, answer);
      }
    });
  };

function respond(socket: Socket, answer: SinkAnswer): void {
  if (answer.kind === 'hang') return;
  if (answer.kind === 'refuse') {
    const { status, retryAfterSeconds } = answer;
    const retryAfter = retryAfterSeconds === undefined ? '' : `retry-after: ${retryAfterSeconds}\r\n`;
    socket.write(`HTTP/1.1 ${status} Refused\r\n${retryAfter}content-length: 0\r\n\r\n`);
  } else if (answer.afterMs === 0) {
    socket.write(ACCEPTED);
  } else {
    setTimeout(() => {
      if (socket.writable) socket.write(ACCEPTED);
    }, answer.afterMs);
  }
}

function contentLength(head: string): number {
  return Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
}

async function start({ key, cert, sinks }: Extract<SinkMessage, { kind: 'start' }>): Promise<{ urls: string[] }> {
  const isTls = key !== undefined && cert !== undefined;
  const urls = sinks.map(async ({ host, answer }) => {
    const server = isTls ? createTlsServer({ key, cert }, serve(answer)) : createTcpServer(serve(answer));
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    return `${isTls ? 'https' : 'http'}://${host}:${(server.address() as AddressInfo).port}`;
  });
  return { urls: await Promise.all(urls) };
}

function reset(expected: number): void {
  seen = new Uint8Array(expected);
  latencies = [];
  unique = 0;
}

async function wait(idleMs: number): Promise<SinkReport> {
  let lastCount = -1;
  let changedAt = performance.now();
  while (unique < seen.length && performance.now() - changedAt < idleMs) {
    if (unique !== lastCount) changedAt = performance.now();
    lastCount = unique;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const latenciesUs = Float64Array.from(latencies).sort();
  return { received: latencies.length, unique, latenciesUs, firstUs, lastUs };
}

answerParent((message: SinkMessage) => {
  switch (message.kind) {
    case 'start':
      return start(message);
    case 'reset':
      reset(message.expected);
      return {};
    case 'wait':
      return wait(message.idleMs);
    case 'count':
      return { received: latencies.length };
  }
});
