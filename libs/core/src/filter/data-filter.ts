/**
 * Our dialect for conditions on the data of an event, which no standard dialect reaches (FD-7). Custom dialects are
 * named by a URI (FD-6). The name is an identifier: nothing is fetched from there, and it never changes.
 */
export const DATA_DIALECT = 'https://posthaste.dev/filters/data/v1';

export interface DataFilter {
  readonly [DATA_DIALECT]: DataConditions;
}

/** Conditions by the JSON Pointer (RFC 6901) of the value that they are about; all must hold. At least one. */
export type DataConditions = Readonly<Record<string, DataCondition>>;

/** At least one member; all must hold. Where the data has no such value, only `exists: false` does. */
export interface DataCondition {
  /** The same type and value. */
  readonly eq?: DataScalar;
  /** Another type or value. */
  readonly ne?: DataScalar;
  readonly lt?: DataOrdered;
  readonly lte?: DataOrdered;
  readonly gt?: DataOrdered;
  readonly gte?: DataOrdered;
  /** Equal to one of these. */
  readonly in?: readonly DataScalar[];
  readonly prefix?: string;
  readonly suffix?: string;
  readonly exists?: boolean;
}

export type DataScalar = DataOrdered | boolean | null;

/** Strings are ordered by UTF-16 code units, numbers by value; a string and a number are in no order. */
export type DataOrdered = string | DataNumber;

/** A number of which JSON readers lose digits is written `{"decimal": "12345678901234567890"}`. */
export type DataNumber = number | { readonly decimal: string };
