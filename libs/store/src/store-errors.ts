/** A row that no database could take: malformed on the bus. Always poison. */
export class UnstorableRow extends Error {
  readonly code = 'store.unstorable_row';
}

/**
 * True when this row will never be stored, however often it is tried: SQLSTATE classes 22 (data exception),
 * 23 (constraint) and 54 (a limit of Postgres). Everything else may pass — no connection, no disk space, a deadlock, a missing
 * table — and is tried again: taking a passing fault for poison loses a row, the opposite only delays.
 */
export function isPoison(error: unknown): boolean {
  if (error instanceof UnstorableRow) return true;
  const state = sqlStateOf(error);
  return state !== undefined && /^(22|23|54)/.test(state) && !isMissingPartition(error);
}

/**
 * The janitor dropped the day, or another process never made it: make it and write again. A check that a row violates has a
 * name, a partition that is not there has none. The text says nothing: it is in the language of the server.
 */
export function isMissingPartition(error: unknown): boolean {
  return sqlStateOf(error) === '23514' && (error as { constraint?: unknown }).constraint === undefined;
}

/** The five characters that Postgres names an error with, or undefined when the error is not from Postgres. */
export function sqlStateOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && 'severity' in error ? code : undefined;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function storeErrorCode(error: unknown): string {
  return error instanceof UnstorableRow ? error.code : 'store.unknown';
}

/** Runs what reads a message; whatever goes wrong there is the message's fault. @throws UnstorableRow */
export function unstorable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof UnstorableRow ? error : new UnstorableRow(messageOf(error), { cause: error });
  }
}
