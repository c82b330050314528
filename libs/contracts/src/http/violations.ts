import { z } from 'zod';

/** One thing that is wrong with a request: where, and how to fix it. The shape of a problem document's `errors`. */
export interface Violation {
  /** Requirement id of the rule that failed, for example `SA-8`. */
  readonly rule?: string;
  /** JSON Pointer into the body (`/config/retry/jitter`), or the name of a parameter. */
  readonly pointer: string;
  readonly detail: string;
  /** Where in the text that the pointer names, in UTF-16 units from 0; only for texts with a grammar. */
  readonly position?: number;
}

export type Parsed<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly violations: readonly Violation[] };

/** Reads a decoded JSON body. Lists every violation, each with its JSON Pointer. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, body: unknown): Parsed<z.output<Schema>> {
  const result = schema.safeParse(body);
  if (result.success) return { ok: true, value: result.data };
  return { ok: false, violations: result.error.issues.flatMap((issue) => violationsOf(issue, jsonPointer)) };
}

/** Reads the parameters of a query. Pointers are their names. */
export function parseQuery<Schema extends z.ZodType>(schema: Schema, query: unknown): Parsed<z.output<Schema>> {
  const result = schema.safeParse(query);
  if (result.success) return { ok: true, value: result.data };
  return {
    ok: false,
    violations: result.error.issues.flatMap((issue) => violationsOf(issue, (path) => path.join('.'))),
  };
}

/** JSON Pointer (RFC 6901) of a path; the whole document is the empty string. */
export function jsonPointer(path: readonly PropertyKey[]): string {
  return path.map((step) => `/${String(step).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

function violationsOf(issue: z.core.$ZodIssue, pointerOf: (path: readonly PropertyKey[]) => string): Violation[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ pointer: pointerOf([...issue.path, key]), detail: issue.message }));
  }
  const { rule, position } = issue.code === 'custom' ? (issue.params ?? {}) : {};
  return [
    {
      ...(typeof rule === 'string' ? { rule } : {}),
      pointer: pointerOf(issue.path),
      detail: issue.message,
      ...(typeof position === 'number' ? { position } : {}),
    },
  ];
}

/**
 * An object that refuses members it does not know and says which ones it knows.
 *
 * @param silent known members that nobody should be told to use
 */
export function strictMembers<Shape extends z.core.$ZodLooseShape>(
  shape: Shape,
  silent: readonly (keyof Shape)[] = [],
): z.ZodObject<Shape, z.core.$strict> {
  const known = Object.keys(shape)
    .filter((name) => !silent.includes(name))
    .join(', ');
  return z.strictObject(shape, {
    error: ({ code }) =>
      code === 'unrecognized_keys'
        ? `This member is not known; known: ${known}.`
        : `This must be a JSON object with ${known}.`,
  });
}

/** An error message that tells a missing member from one of the wrong type. */
export function required(what: string): { error: (issue: { input?: unknown }) => string } {
  return { error: ({ input }) => (input === undefined ? `This is required: ${what}.` : `This must be ${what}.`) };
}
