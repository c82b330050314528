/** Wakes one who waits. A ring while nobody waits is kept for the next one. */
export interface Bell {
  ring(): void;
  /** Resolves at the next ring, or after that many ms. */
  wait(ms: number): Promise<void>;
}

export function makeBell(): Bell {
  let hasRung = false;
  let wake: (() => void) | undefined;
  return {
    ring() {
      hasRung = true;
      wake?.();
    },
    async wait(ms) {
      let timer: NodeJS.Timeout | undefined;
      if (!hasRung && ms > 0) {
        await new Promise<void>((resolve) => {
          wake = resolve;
          timer = setTimeout(resolve, ms);
        });
      }
      clearTimeout(timer);
      wake = undefined;
      hasRung = false;
    },
  };
}
