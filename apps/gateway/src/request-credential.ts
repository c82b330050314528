import { ProblemError } from '#platform/problem';

type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface RequestCredential {
  /** The headers of the request, with the token of the query as `Authorization` when it came there. */
  readonly headers: Headers;
  /** True when the token stood in the URL: the answer must not get into a shared cache (WH-8). */
  readonly isInUrl: boolean;
}

/**
 * A target has to take a token both as `Authorization` header and as `access_token` parameter of the query (WH-7).
 *
 * @throws ProblemError 400 when the request carries more than one (RFC 6750 2)
 */
export function requestCredential(headers: Headers, query: unknown): RequestCredential {
  const token = (Object(query) as Readonly<Record<string, unknown>>)['access_token'];
  if (token === undefined) return { headers, isInUrl: false };
  if (typeof token !== 'string' || headers['authorization'] !== undefined) {
    throw new ProblemError({
      status: 400,
      code: 'several-credentials',
      detail: 'Send one credential: either the header Authorization or one access_token in the query.',
      errors: [{ rule: 'WH-7', pointer: 'access_token', detail: 'Leave it out, or leave the others out.' }],
    });
  }
  return { headers: { ...headers, authorization: `Bearer ${token}` }, isInUrl: true };
}
