/** One broken rule of the `filters` member, fit for a problem document. */
export interface FilterViolation {
  /** Requirement id, for example `FD-2`. */
  readonly rule: string;
  /** Where, below the `filters` member: member names and array indexes. */
  readonly path: readonly (string | number)[];
  /** One sentence: what is wrong and how to fix it. */
  readonly detail: string;
  /** Where in the text that `path` names, in UTF-16 units from 0; for `sql`. */
  readonly position?: number;
}

/** Takes violations down, so that one look lists all of them. */
export type ReportViolation = (violation: FilterViolation) => void;

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
