/** A semaphore that nobody's requests fill for all others: at most `size` holders. */
export interface FairSlots {
  readonly size: number;
  /** Resolves when it is the turn of `key`: first who has none, then one after the other, each its oldest. */
  acquire(key: string): Promise<void>;
  release(key: string): void;
  /** How many wait, of all keys. */
  waiting(): number;
}

export function makeFairSlots(size: number): FairSlots {
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
    const [key] = without.size > 0 ? without : lines.keys();
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

  return {
    size,
    waiting: () => waiting,
    acquire(key) {
      if (inUse < size) {
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
