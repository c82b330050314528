/**
 * A filter of the CloudEvents Subscriptions API (FD-1, FD-2) as it is stored and shown.
 *
 * Only these three dialects for now; the shape is the wire shape, so that `GET` returns what `POST` sent.
 */
export type Filter =
  | { readonly exact: Readonly<Record<string, string>> }
  | { readonly prefix: Readonly<Record<string, string>> }
  | { readonly suffix: Readonly<Record<string, string>> };
