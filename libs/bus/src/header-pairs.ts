import type { MsgHdrs } from '@nats-io/nats-core';

/** The headers of a message as pairs, in the order in which the client keeps them; a repeated name gives several. */
export function headerPairs(headers: MsgHdrs | undefined): [string, string][] {
  if (headers === undefined) return [];
  return headers.keys().flatMap((name) => headers.values(name).map((value): [string, string] => [name, value]));
}
