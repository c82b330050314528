/** A semaphore that nobody's requests fill for all others: at most `size` holders. */
export interface FairSlots {
  readonly size: number;
  /** Resolves when it is the turn of `key`: first who has none, then one after the other, each its oldest. */
  acquire(key: string): Promise<void>;
  release(key: string): void;
  /** How many wait, of all keys. */
  waiting(): number;
}

/** @param mostOfOne slots that one key may hold; others stay free for those who come. Default: all */
export function makeFairSlots(size: number, { mostOfOne = size }: { readonly mostOfOne?: number } = {}): FairSlots {
  /** Without those that have none. */
  const held = new Map<string, number>();
  /** Who waits, in the order of their turns. */
  const lines = new Map<string, (() => void)[]>();
  /** Of those who wait the ones that have none. */
  const without = new Set<string>();
  let inUse = 0;
  let waiting = 0;

  function give(key: string): void {
    inUse++;
    held.set(key, (held.get(key) ?? 0) + 1);
    without.delete(key);
  }

  function takeBack(key: string): void {
    inUse--;
    const left = (held.get(key) ?? 1) - 1;
    if (left > 0) held.set(key, left);
    else held.delete(key);
    if (left === 0 && lines.has(key)) without.add(key);
  }

  function letNextIn(): void {
    const key = nextKey();
    if (key === undefined) return;
    const line = lines.get(key) ?? [];
    const next = line.shift();
    // A key that is deleted and set again comes last.
    lines.delete(key);
    if (line.length > 0) lines.set(key, line);
    waiting--;
    give(key);
    next?.();
  }

  function nextKey(): string | undefined {
    for (const key of without) return key;
    for (const key of lines.keys()) if (mayHaveMore(key)) return key;
    return undefined;
  }

  function mayHaveMore(key: string): boolean {
    return (held.get(key) ?? 0) < mostOfOne;
  }

  return {
    size,
    waiting: () => waiting,
    acquire(key) {
      if (inUse < size && mayHaveMore(key)) {
        give(key);
        return Promise.resolve();
      }
      waiting++;
      if (!held.has(key)) without.add(key);
      return new Promise((resolve) => {
        const line = lines.get(key);
        if (line === undefined) lines.set(key, [resolve]);
        else line.push(resolve);
      });
    },
    release(key) {
      takeBack(key);
      letNextIn();
    },
  };
}
