let writes: (() => void)[] = [];

/**
 * Runs what is given after this turn of the event loop, with everything else that was given during it, in this order.
 *
 * The client writes to its socket once per callback that publishes; a turn has many. Each write is a system call here and
 * wakes several threads of the server. Events through all services on 2 cores, CPU per event: 1.3–1.5 ms with a write per
 * callback, 0.78–0.90 ms with one per turn; of that the server 0.40 against 0.18 ms.
 *
 * @param write must not throw
 */
export function atEndOfTurn(write: () => void): void {
  if (writes.push(write) === 1) setImmediate(runAll);
}

function runAll(): void {
  const all = writes;
  writes = [];
  for (const write of all) write();
}

/** Resolves when all that was given before has run. */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => {
    atEndOfTurn(resolve);
  });
}
