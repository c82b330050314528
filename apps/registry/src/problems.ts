import type { Parsed, Violation } from '#contracts/http/violations';
import { ProblemError, unavailable } from '#platform/problem';

/** The value of a body that was read, or 400 with everything that is wrong with it. */
export function bodyOrRefuse<T>(parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.value;
  throw invalidBody(parsed.violations);
}

export function invalidBody(violations: readonly Violation[]): ProblemError {
  const detail = `The body is not valid: ${count(violations)}. Nothing was changed.`;
  return new ProblemError({ status: 400, code: 'invalid-body', detail, errors: violations });
}

/** The parameters of a query that was read, or 400 with everything that is wrong with them. */
export function queryOrRefuse<T>(parsed: Parsed<T>): T {
  if (parsed.ok) return parsed.value;
  const detail = `The query is not valid: ${count(parsed.violations)}.`;
  throw new ProblemError({ status: 400, code: 'invalid-query', detail, errors: parsed.violations });
}

function count(violations: readonly Violation[]): string {
  return violations.length === 1 ? 'one problem, see errors' : `${violations.length} problems, see errors`;
}

/** The same answer whether it never was, is no more, or belongs to another tenant. */
export function notFound(what: string, id: string): ProblemError {
  const detail = `There is no ${what} ${id.slice(0, 100)} of this tenant.`;
  return new ProblemError({ status: 404, code: 'not-found', detail });
}

export function conflict(what: string): ProblemError {
  const detail = `Others were changing this ${what} at the same time. Nothing was changed; send the request again.`;
  return new ProblemError({ status: 409, code: 'conflict', detail });
}

/**
 * 503 with Retry-After in place of an error with which a part of the system says that it is away.
 *
 * @param isAway tells that error from any other, which passes
 */
export function answering<Arguments extends unknown[], Result>(
  part: keyof typeof AWAY,
  isAway: (error: unknown) => boolean,
  work: (...args: Arguments) => Promise<Result>,
): (...args: Arguments) => Promise<Result> {
  return async (...args) => {
    try {
      return await work(...args);
    } catch (error) {
      if (!isAway(error)) throw error;
      throw unavailable(`${part}-unavailable`, AWAY[part], error);
    }
  };
}

const AWAY = {
  bus: 'The bus (NATS) does not answer. If this request was to change something, read whether it did, or send it again.',
  signer: 'The signer does not answer, and only it can keep a secret. Nothing was changed; send the request again.',
  'read-side': 'The read side (PostgreSQL) does not answer. Deliveries go on meanwhile; ask again.',
} as const;
