/** A service answered something else than it should have, or nothing. The message is one line. */
export class UnexpectedAnswer extends Error {
  readonly code = 'all_in_one.unexpected_answer';
}

export interface JsonRequest {
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE';
  readonly token?: string;
  readonly contentType?: string;
  readonly body?: unknown;
}

/** Sends a request as any client would. @throws UnexpectedAnswer when there is no answer within 15 s */
export async function send(
  url: string,
  { method = 'GET', token, contentType = 'application/json', body }: JsonRequest = {},
): Promise<Response> {
  try {
    return await fetch(url, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': contentType }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(15_000),
    });
  } catch (cause) {
    throw new UnexpectedAnswer(`${method} ${url}: ${reasonOf(cause)}`, { cause });
  }
}

/** The JSON of a 2xx answer. @throws UnexpectedAnswer with the problem's detail */
export async function sendForJson(url: string, request: JsonRequest = {}): Promise<unknown> {
  const response = await send(url, request);
  const text = await response.text();
  if (response.ok) return text === '' ? undefined : (JSON.parse(text) as unknown);
  throw new UnexpectedAnswer(`${request.method ?? 'GET'} ${url} answered ${response.status}: ${detailOf(text)}`);
}

function detailOf(text: string): string {
  try {
    const { detail, errors } = JSON.parse(text) as { detail?: string; errors?: { detail: string }[] };
    return [detail ?? text, ...(errors ?? []).map((error) => error.detail)].join(' ');
  } catch {
    return text;
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? error.cause.message || error.message : error.message;
}
