import { STATUS_CODES } from 'node:http';

/** One thing that is wrong, where, and how to fix it. */
export interface ProblemItem {
  /** Requirement id of the rule that failed, for example `CE-1`. */
  readonly rule?: string;
  /** JSON Pointer into the body (`/config/retry`), or the name of a header, parameter or variable. */
  readonly pointer: string;
  readonly detail: string;
  /** Where in the text that the pointer names, in UTF-16 units from 0; only for texts with a grammar. */
  readonly position?: number;
}

/** An RFC 9457 problem before it is written down. */
export interface Problem {
  readonly status: number;
  /** Stable, kebab-case; the `type` member is `https://posthaste.dev/problems/<code>`-like URI reference `/problems/<code>`. */
  readonly code: string;
  readonly detail: string;
  readonly errors?: readonly ProblemItem[];
  /** Extra response headers, for example `Retry-After`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown where a request cannot be served; {@link problemDocument} is what the caller sees. */
export class ProblemError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail, options);
    this.problem = problem;
  }
}

/** The body of an `application/problem+json` answer (RFC 9457 section 3). */
export function problemDocument(problem: Problem): Record<string, unknown> {
  return {
    type: `/problems/${problem.code}`,
    title: STATUS_CODES[problem.status] ?? 'Error',
    status: problem.status,
    code: problem.code,
    detail: problem.detail,
    ...(problem.errors === undefined ? {} : { errors: problem.errors }),
  };
}

/** 503 with Retry-After: nothing was accepted, the same request may be sent again. */
export function unavailable(code: string, detail: string, cause?: unknown, retryAfterSeconds = 2): ProblemError {
  return new ProblemError(
    { status: 503, code, detail, headers: { 'retry-after': String(retryAfterSeconds) } },
    { cause },
  );
}
