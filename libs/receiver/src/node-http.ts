import { checkAdapterOptions, readBody, toNotification, type NodeRequest } from './adapter-request.ts';
import { DEFAULT_MAX_BODY_BYTES, receive, refuseTooLarge, type Answer, type ReceiverOptions } from './receive.ts';

/** The part of Node's response that is used. */
export interface NodeResponse {
  writeHead(status: number, headers: Readonly<Record<string, string>>): unknown;
  end(body: string): unknown;
}

/** A listener for `http.createServer`. It reads the body itself. */
export function makeNodeListener(options: ReceiverOptions): (request: NodeRequest, response: NodeResponse) => void {
  checkAdapterOptions(options);
  return (request, response) => {
    answerTo(request, options).then(
      (answer) => sendAnswer(response, answer),
      () => sendAnswer(response, FAILED),
    );
  };
}

async function answerTo(request: NodeRequest, options: ReceiverOptions): Promise<Answer> {
  if (request.method !== 'POST') return { status: 405, headers: { allow: 'POST' }, body: '' };
  const body = await readBody(request, options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES);
  return body === undefined
    ? refuseTooLarge(options)
    : receive(toNotification(request, body, options.publicUrl), options);
}

/** The configuration can not work, or the connection is gone: the sender comes again. */
const FAILED: Answer = { status: 500, headers: {}, body: '' };

function sendAnswer(response: NodeResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, headers);
  response.end(body);
}
