/** How a chore is repeated; the default is the process's own timers. */
export interface Timer {
  /** Calls `tick` after `delayMs` once. @returns how to cancel it */
  after(delayMs: number, tick: () => void): () => void;
}

export const processTimer: Timer = {
  after(delayMs, tick) {
    const timer = setTimeout(tick, delayMs);
    return () => {
      clearTimeout(timer);
    };
  },
};

export interface Chore {
  /** No more rounds; waits for the one that runs. */
  stop(): Promise<void>;
}

export interface ChoreOptions {
  readonly timer: Timer;
  /** From the end of one round to the next. */
  readonly everyMs: number;
  /** After a round that failed. */
  readonly retryMs: number;
  readonly onFailure: (error: unknown) => void;
}

/** Does a round now and then again and again, never two at a time. */
export function startChore(round: () => Promise<void>, options: ChoreOptions): Chore {
  const { timer, everyMs, retryMs, onFailure } = options;
  let isStopped = false;
  let cancel = (): void => undefined;
  let running: Promise<void> = tick();

  async function tick(): Promise<void> {
    let pauseMs = everyMs;
    try {
      await round();
    } catch (error) {
      pauseMs = retryMs;
      onFailure(error);
    }
    if (isStopped) return;
    cancel = timer.after(pauseMs, () => {
      running = tick();
    });
  }

  return {
    async stop() {
      isStopped = true;
      cancel();
      await running;
    },
  };
}
