/** Many small pieces of work, of which few run at once, and nobody's are behind all of somebody else's. */
export interface FairTurns {
  /**
   * Runs `start(0)` … `start(count - 1)`, each begun when it is its turn. Resolves when all have ended. After a failure
   * none of this run is begun any more, and it rejects with the first one when those under way have ended.
   *
   * @throws TurnsClosed
   */
  run(tenant: string, count: number, start: (index: number) => Promise<void>): Promise<void>;
  /** Begins nothing more: runs that are not complete reject when what they have under way has ended. */
  close(): void;
}

/** Work was not begun because the process stops. */
export class TurnsClosed extends Error {
  readonly code = 'matcher.turns_closed';
}

interface Run {
  readonly count: number;
  readonly start: (index: number) => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
  next: number;
  underWay: number;
  failure: { readonly reason: unknown } | undefined;
}

export interface FairTurnsOptions {
  /** Pieces under way at once, of all runs together. */
  readonly maxUnderWay: number;
  /** Runs of one tenant that take turns; the others wait for one of these to end, so that none takes for ever. Default 8. */
  readonly runsPerTenant?: number;
}

/**
 * Tenants take turns, and within a tenant its oldest {@link FairTurnsOptions.runsPerTenant} runs; a turn is one piece.
 *
 * ```
 * acme  ─ [a1 a2 a3 …10 000] [b1 … 300]    →  a1 x1 b1 a2 b2 a3 b3 …
 * other ─ [x1]
 * ```
 */
export function makeFairTurns({ maxUnderWay, runsPerTenant = 8 }: FairTurnsOptions): FairTurns {
  /** Those that have something to begin, in the order of their turns. */
  const tenants = new Map<string, Run[]>();
  let underWay = 0;
  let closed = false;

  function beginAll(): void {
    // A key that is deleted and set again comes last, also for this loop.
    for (const [tenant, runs] of tenants) {
      if (underWay >= maxUnderWay) return;
      tenants.delete(tenant);
      const run = runs.shift();
      if (run === undefined) continue;
      const index = run.next++;
      if (run.next < run.count) runs.splice(Math.min(runs.length, runsPerTenant - 1), 0, run);
      if (runs.length > 0) tenants.set(tenant, runs);
      void carryOut(run, index);
    }
  }

  async function carryOut(run: Run, index: number): Promise<void> {
    underWay++;
    run.underWay++;
    try {
      await run.start(index);
    } catch (reason) {
      run.failure ??= { reason };
      giveUp(run);
    }
    underWay--;
    run.underWay--;
    endIfOver(run);
    beginAll();
  }

  function giveUp(run: Run): void {
    run.next = run.count;
    for (const runs of tenants.values()) {
      const at = runs.indexOf(run);
      if (at >= 0) runs.splice(at, 1);
    }
  }

  function endIfOver({ next, count, underWay: left, failure, resolve, reject }: Run): void {
    if (next < count || left > 0) return;
    if (failure === undefined) resolve();
    else reject(failure.reason);
  }

  return {
    run: (tenant, count, start) =>
      new Promise((resolve, reject) => {
        if (closed) throw new TurnsClosed('the process stops');
        const run: Run = { count, start, resolve, reject, next: 0, underWay: 0, failure: undefined };
        if (count === 0) return resolve();
        const runs = tenants.get(tenant);
        if (runs === undefined) tenants.set(tenant, [run]);
        else runs.push(run);
        beginAll();
      }),

    close() {
      closed = true;
      const unfinished = [...tenants.values()].flat();
      tenants.clear();
      for (const run of unfinished) {
        run.failure ??= { reason: new TurnsClosed('the process stops') };
        run.next = run.count;
        endIfOver(run);
      }
    },
  };
}
