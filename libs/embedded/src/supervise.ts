import { setTimeout as delay } from 'node:timers/promises';
import type { ChildExit, EmbeddedLogger } from './nats-server.ts';

/** A child process that is up: what `startNatsServer`, `startPostgresServer` and `startServiceProcess` return. */
export interface Child {
  readonly pid: number;
  /** Resolves when the process is gone, for whatever reason. */
  readonly exited: Promise<ChildExit>;
  /** Asks it to end, kills it after the deadline. Resolves when the process is gone. */
  stop(deadlineMs?: number): Promise<unknown>;
}

export interface SuperviseOptions<C extends Child> {
  /** What the log calls it. */
  readonly name: string;
  /** Starts it and waits until it is ready. Called again, with the same port and data, each time that it died. */
  readonly start: () => Promise<C>;
  readonly logger: EmbeddedLogger;
  /** Pause before the first restart; doubles with each one in a row. Default 200 ms. */
  readonly minBackoffMs?: number;
  /** Longest pause. Default 10 s. */
  readonly maxBackoffMs?: number;
}

export interface Supervised<C extends Child> {
  readonly name: string;
  /** The one that is up, or undefined while it is being restarted. */
  current(): C | undefined;
  /** No more restarts; ends the child that is there. */
  stop(): Promise<void>;
}

/** A child that lived this long had started well: the next pause is the shortest again. */
const HEALTHY_AFTER_MS = 10_000;

/**
 * Keeps a child process alive.
 *
 *   starting ── ready ──▶ up ── exits ──▶ waiting (back-off) ──▶ starting …
 *       └── fails ──▶ waiting, except the first time: then {@link supervise} rejects
 *
 * `stop` ends it in every state. When our own process exits without having stopped, the child gets SIGTERM.
 */
export async function supervise<C extends Child>(options: SuperviseOptions<C>): Promise<Supervised<C>> {
  const { name, start } = options;
  let child: C | undefined = await start();
  const stopping = new AbortController();
  const forget = terminateOnExit(() => child?.pid);
  const watched = watch(options, child, stopping.signal, (now) => {
    child = now;
  });
  return {
    name,
    current: () => child,
    async stop() {
      stopping.abort();
      await child?.stop();
      await watched;
      forget();
    },
  };
}

async function watch<C extends Child>(
  options: SuperviseOptions<C>,
  first: C,
  stopping: AbortSignal,
  onChange: (child: C | undefined) => void,
): Promise<void> {
  const { name, logger, minBackoffMs = 200 } = options;
  let child = first;
  for (let failuresInARow = 0; ;) {
    const upAt = performance.now();
    const exit = await child.exited;
    onChange(undefined);
    if (isAborted(stopping)) return;
    const upMs = Math.round(performance.now() - upAt);
    if (upMs >= HEALTHY_AFTER_MS) failuresInARow = 0;
    logger.warn({ child: name, pid: child.pid, ...exit, upMs }, `${name} ended by itself; restarting it`);
    const next = await restart(options, minBackoffMs * 2 ** failuresInARow++, stopping);
    if (next === undefined) return;
    child = next;
    onChange(child);
    if (isAborted(stopping)) await child.stop();
  }
}

/** A call, because the compiler takes what it knows about a property to hold across an await. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

/** Tries until the child is up; undefined when it was stopped meanwhile. */
async function restart<C extends Child>(
  { name, start, logger, minBackoffMs = 200, maxBackoffMs = 10_000 }: SuperviseOptions<C>,
  firstPauseMs: number,
  stopping: AbortSignal,
): Promise<C | undefined> {
  for (let pauseMs = firstPauseMs; ; pauseMs = Math.max(pauseMs, minBackoffMs) * 2) {
    pauseMs = Math.min(pauseMs, maxBackoffMs);
    await delay(pauseMs, undefined, { signal: stopping }).catch(() => undefined);
    if (stopping.aborted) return undefined;
    try {
      const child = await start();
      logger.info({ child: name, pid: child.pid }, `${name} is up again`);
      return child;
    } catch (error) {
      logger.warn(
        { child: name, reason: error instanceof Error ? error.message : String(error) },
        `${name} did not start`,
      );
    }
  }
}

/** What to end when our own process ends in a hurry: a second Ctrl-C, a drain that took too long, an uncaught error. */
const atExit = new Set<() => number | undefined>();

/** One listener for all children: Node warns about a leak when there are more than ten. */
function terminateOnExit(pidOf: () => number | undefined): () => void {
  if (atExit.size === 0) process.on('exit', terminateAll);
  atExit.add(pidOf);
  return () => {
    atExit.delete(pidOf);
    if (atExit.size === 0) process.off('exit', terminateAll);
  };
}

function terminateAll(): void {
  for (const pidOf of atExit) {
    const pid = pidOf();
    if (pid !== undefined) terminate(pid);
  }
}

function terminate(pid: number): void {
  try {
    process.kill(pid, 'SIGTERM');
  } catch {
    // It is gone already.
  }
}
