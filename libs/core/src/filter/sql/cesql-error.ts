/** The kinds of errors that an engine must tell apart (CQ-9), spelled as the TCK does. */
export type CesqlErrorKind =
  'parse' | 'math' | 'cast' | 'missingAttribute' | 'missingFunction' | 'functionEvaluation' | 'generic';

/** Why an expression is invalid, or what went wrong while it was evaluated. */
export interface CesqlError {
  readonly kind: CesqlErrorKind;
  /** One sentence. */
  readonly detail: string;
  /** Where in the text, in UTF-16 units from 0. */
  readonly position: number;
}

/** Something valid that most likely does not mean what its author thinks. */
export interface CesqlWarning {
  readonly detail: string;
  readonly position: number;
}

/** Place in a text as editors count it, both from 1. */
export function lineAndColumn(text: string, position: number): { readonly line: number; readonly column: number } {
  const before = text.slice(0, position).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}
