export interface ConfigDifference {
  readonly field: string;
  readonly wanted: unknown;
  readonly found: unknown;
}

/** Every field that was asked for and is not there as asked. Absent counts as false or zero: the server omits those. */
export function configDifferences(wanted: object, echoed: object): readonly ConfigDifference[] {
  const found = new Map<string, unknown>(Object.entries(echoed));
  return Object.entries(wanted)
    .map(([field, value]) => ({ field, wanted: value as unknown, found: found.get(field) }))
    .filter(({ wanted: value, found: other }) => JSON.stringify(other ?? zeroOf(value)) !== JSON.stringify(value));
}

function zeroOf(value: unknown): unknown {
  if (typeof value === 'boolean') return false;
  return typeof value === 'number' ? 0 : undefined;
}
