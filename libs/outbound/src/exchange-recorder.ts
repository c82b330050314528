import type { Exchange, ResponseBody } from '#core/delivery/outcome';
import type { Dispatcher } from 'undici';
import { toExchangeError } from './exchange-error.ts';

export interface ExchangeLimits {
  /** From the moment the request is handed over to the end of the response. Milliseconds. */
  readonly timeoutMs: number;
  /** So much of the response body is kept. */
  readonly maxResponseBytes: number;
}

/**
 * A request that has waited so long for a connection is not sent any more, however long its answer might take: what authorizes it
 * would be too old (SA-10, `token-use.ts`).
 */
const SENT_WITHIN_MS = 15_000;

/**
 * So much of a body beyond what is kept is read and thrown away, to keep the connection: a sink that answers with a
 * 20 KB page would otherwise cost a new TLS connection per notification (1.7 ms of CPU on both sides, reading 0.03 ms).
 */
const DISCARD_MAX_BYTES = 256 * 1024;

/**
 * Listens to one request and settles once.
 *
 * - Status and whole body: a response. The body is cut at the limit; reading goes on for a while in the background.
 * - A status, then silence, a reset or the timeout: a response as well. The sink has spoken; its body means nothing (WH-6).
 * - No status: an error.
 *
 * A class, not closures: one object per request instead of seven.
 */
export class ExchangeRecorder implements Dispatcher.DispatchHandler {
  readonly #settle: (exchange: Exchange) => void;
  readonly #limits: ExchangeLimits;
  readonly #timer: NodeJS.Timeout;
  readonly #givenAt = performance.now();
  #controller: Dispatcher.DispatchController | undefined;
  #settled = false;
  #aborted = false;
  #status = 0;
  #retryAfter: string | undefined;
  #headers: Record<string, string | string[] | undefined> = {};
  #chunks: Uint8Array[] = [];
  #receivedBytes = 0;

  constructor(settle: (exchange: Exchange) => void, limits: ExchangeLimits) {
    this.#settle = settle;
    this.#limits = limits;
    this.#timer = setTimeout(() => {
      this.#onTimeout();
    }, limits.timeoutMs);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (performance.now() - this.#givenAt > SENT_WITHIN_MS) this.#onTimeout();
    this.#controller = controller;
    if (this.#aborted) controller.abort(new Error('given up before it was sent'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    if (status < 200) return; // interim responses are read over
    this.#status = status;
    this.#headers = headers;
    const retryAfter = headers['retry-after'];
    this.#retryAfter = Array.isArray(retryAfter) ? retryAfter[0] : retryAfter;
  }

  /** Headers of the final response, names in lower case, in the order of arrival; none before it has come. */
  responseHeaders(): readonly (readonly [string, string])[] {
    return Object.entries(this.#headers).flatMap(([name, value]) =>
      [value ?? []].flat().map((one) => [name, one] as const),
    );
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Uint8Array): void {
    const before = this.#receivedBytes;
    this.#receivedBytes += chunk.length;
    const { maxResponseBytes } = this.#limits;
    // A chunk is a view into the socket's 64 KB buffer: keep a copy, not the buffer.
    if (before < maxResponseBytes) this.#chunks.push(Uint8Array.from(chunk.subarray(0, maxResponseBytes - before)));
    if (this.#receivedBytes > maxResponseBytes) this.#finishWithResponse(true);
    if (this.#receivedBytes > maxResponseBytes + DISCARD_MAX_BYTES) this.#abort('the response has no end');
  }

  onResponseEnd(): void {
    clearTimeout(this.#timer);
    this.#finishWithResponse(false);
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    clearTimeout(this.#timer);
    if (this.#status !== 0) this.#finishWithResponse(true);
    else if ('code' in error && error.code === 'UND_ERR_HEADERS_TIMEOUT') this.#finishLate();
    else this.#finish(toExchangeError(error));
  }

  #onTimeout(): void {
    if (this.#status !== 0) this.#finishWithResponse(true);
    else this.#finishLate();
    this.#abort('timeout');
  }

  #finishLate(): void {
    const { timeoutMs } = this.#limits;
    if (this.#controller === undefined) {
      // Those that have the connections tell how the sink is; this one was never sent.
      const waitedMs = Math.min(timeoutMs, SENT_WITHIN_MS);
      const message = `Within ${waitedMs} ms no connection to the sink was free: others of its host have them all.`;
      this.#finish({ kind: 'error', error: 'local_resources', message });
    } else this.#finish({ kind: 'error', error: 'timeout', message: `Within ${timeoutMs} ms no answer came.` });
  }

  #abort(why: string): void {
    clearTimeout(this.#timer);
    this.#aborted = true;
    this.#controller?.abort(new Error(why));
  }

  #finishWithResponse(truncated: boolean): void {
    const body = this.#body(truncated);
    this.#finish({
      kind: 'response',
      status: this.#status,
      ...(this.#retryAfter === undefined ? {} : { retryAfter: this.#retryAfter }),
      ...(body === undefined ? {} : { body }),
    });
  }

  #body(truncated: boolean): ResponseBody | undefined {
    if (this.#receivedBytes === 0) return truncated ? { text: '', truncated } : undefined;
    // A character cut in two at the limit is dropped, and a NUL can not be stored as text.
    const text = new TextDecoder().decode(Buffer.concat(this.#chunks), { stream: truncated });
    return { text: text.replaceAll('\0', '\ufffd'), truncated };
  }

  #finish(exchange: Exchange): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#chunks = [];
    this.#settle(exchange);
  }
}
