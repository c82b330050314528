/**
 * Sets an entry of a map that has so many at most: the one that was set last is the last, the first has to go.
 *
 * @returns the value that had to go
 */
export function keepLatest<Key, Value>(
  map: Map<Key, Value>,
  key: Key,
  value: Value,
  maxCount: number,
): Value | undefined {
  map.delete(key);
  map.set(key, value);
  const [first] = map;
  if (map.size <= maxCount || first === undefined) return undefined;
  map.delete(first[0]);
  return first[1];
}
