/** Request headers in any of the shapes that servers hand out: Node's object, a web `Headers`, or pairs. */
export type RequestHeaders =
  Readonly<Record<string, string | readonly string[] | undefined>> | Iterable<readonly [string, string]>;

/** All headers as pairs with lower-case names, in order. */
export function headerPairs(headers: RequestHeaders): [string, string][] {
  if (isIterable(headers)) return Array.from(headers, ([name, value]) => [name.toLowerCase(), value]);
  return Object.entries(headers).flatMap(([name, value]) =>
    [value ?? []].flat().map((one): [string, string] => [name.toLowerCase(), one]),
  );
}

function isIterable(headers: RequestHeaders): headers is Iterable<readonly [string, string]> {
  return Symbol.iterator in headers;
}
