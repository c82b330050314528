/** A semaphore: at most `size` holders, the others wait in line. Consumers that share one share its capacity fairly. */
export interface Slots {
  readonly size: number;
  /** Takes a free slot at once, or answers false. */
  tryAcquire(): boolean;
  acquire(): Promise<void>;
  release(): void;
  inUse(): number;
}

export function makeSlots(size: number): Slots {
  let inUse = 0;
  const line: (() => void)[] = [];
  const tryAcquire = (): boolean => {
    if (inUse >= size) return false;
    inUse++;
    return true;
  };
  return {
    size,
    inUse: () => inUse,
    tryAcquire,
    acquire() {
      if (tryAcquire()) return Promise.resolve();
      return new Promise((resolve) => line.push(resolve));
    },
    release() {
      const next = line.shift();
      if (next === undefined) inUse--;
      else next();
    },
  };
}
