import type { DataFilter } from './data-filter.ts';

/** Names of context attributes, and what their canonical strings are compared with. At least one. */
export type AttributePairs = Readonly<Record<string, string>>;

/**
 * A filter of the CloudEvents Subscriptions API (FD-1 … FD-6) as it is stored and shown.
 *
 * The shape is the wire shape, so that `GET` returns what `POST` sent; only `cesql`, another name for `sql`, is stored
 * as `sql`. What {@link parseFilters} gives is valid, and nothing else makes filters.
 */
export type Filter =
  | { readonly exact: AttributePairs }
  | { readonly prefix: AttributePairs }
  | { readonly suffix: AttributePairs }
  | { readonly all: readonly Filter[] }
  | { readonly any: readonly Filter[] }
  | { readonly not: Filter }
  | { readonly sql: string }
  | DataFilter;
