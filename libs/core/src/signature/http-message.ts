export type HeaderPair = readonly [name: string, value: string];

/** The head of a request as its signature sees it. */
export interface HttpRequestHead {
  /** As sent, letter case included. */
  readonly method: string;
  /** Absolute, as sent: `https://example.com/hooks?a=b`. */
  readonly url: string;
  /** In the order of the message; a name may repeat. */
  readonly headers: readonly HeaderPair[];
  /** The second word of the request line when it is not path and query: `*`, `host:port`, an absolute URL. */
  readonly requestTarget?: string;
}

/** The head of a response, with that of the request it answers when its signature covers that too. */
export interface HttpResponseHead {
  readonly status: number;
  readonly headers: readonly HeaderPair[];
  readonly request?: HttpRequestHead;
}

export type HttpMessageHead = HttpRequestHead | HttpResponseHead;

/** Each line of a field, in order: obsolete folds become one blank, the ends are trimmed (RFC 9421 2.1, draft-05 2.1). */
export function fieldLines(headers: readonly HeaderPair[], name: string): string[] {
  const wanted = name.toLowerCase();
  return headers
    .filter(([other]) => other.toLowerCase() === wanted)
    .map(([, value]) =>
      value
        .split(/\r?\n(?=[ \t])/)
        .map(withoutBlanksAround)
        .join(' '),
    )
    .map(withoutBlanksAround);
}

/** Anybody may send a field of many blanks: no pattern, for it would go back at each of them. */
function withoutBlanksAround(text: string): string {
  const isBlank = (at: number): boolean => text[at] === ' ' || text[at] === '\t';
  let [start, end] = [0, text.length];
  while (start < end && isBlank(start)) start++;
  while (start < end && isBlank(end - 1)) end--;
  return text.slice(start, end);
}

/** The lines of a field as one value, or `undefined` when there is none. */
export function fieldValue(headers: readonly HeaderPair[], name: string): string | undefined {
  const lines = fieldLines(headers, name);
  return lines.length === 0 ? undefined : lines.join(', ');
}

/** The headers that have none of the others' names. */
export function withoutNamesOf(others: readonly HeaderPair[], headers: readonly HeaderPair[]): readonly HeaderPair[] {
  const taken = new Set(others.map(([name]) => name.toLowerCase()));
  return headers.filter(([name]) => !taken.has(name.toLowerCase()));
}

/** Path and query of a URL as a request line has them: `/a?b=c`, `/` for an empty path. */
export function originForm(url: string): string {
  const { path, query } = splitUrl(url);
  return query === undefined ? path : `${path}?${query}`;
}

export interface UrlParts {
  readonly scheme: string;
  /** Host and port, lower case, without the default port of the scheme. */
  readonly authority: string;
  /** Never empty. */
  readonly path: string;
  /** Absent when there is no `?`. */
  readonly query?: string;
}

const ABSOLUTE_URL = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?/i;
const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: ':80', https: ':443' };

/**
 * Splits an absolute URL without changing a byte of path and query: they have to be what was sent.
 *
 * @throws TypeError when it is not absolute
 */
export function splitUrl(url: string): UrlParts {
  const [, schemeText = '', host = '', path = '', query] = ABSOLUTE_URL.exec(url) ?? [];
  if (schemeText === '') throw new TypeError(`"${url}" is not an absolute URL`);
  const scheme = schemeText.toLowerCase();
  const port = DEFAULT_PORTS[scheme] ?? '';
  const lower = host.toLowerCase();
  const authority = port !== '' && lower.endsWith(port) ? lower.slice(0, -port.length) : lower;
  return { scheme, authority, path: path === '' ? '/' : path, ...(query === undefined ? {} : { query }) };
}
