import type { RunningService } from './bootstrap.ts';
import type { Logger } from './logger.ts';

/** In-flight work gets this long after a signal; then the process ends anyway and redelivery takes over. */
const DRAIN_TIMEOUT_MS = 30_000;

/** A start that is told to end gets this long to come to its own end: it may be waiting for NATS, and for ever. */
const START_TIMEOUT_MS = 5_000;

/**
 * The life of a process: start, wait for SIGINT or SIGTERM, drain, exit 0. What can not start says so in one line and
 * exits 1. A signal ends a start as well; a second one does not wait.
 */
export async function runService(logger: Logger, start: () => Promise<RunningService>): Promise<void> {
  const stopped = untilSignal();
  let service: RunningService;
  try {
    service = await untilStarted(logger, start(), stopped);
  } catch (error) {
    exitWithError(logger, error);
  }
  logger.info({ url: service.url }, 'ready');
  const signal = await stopped;
  logger.info({ signal }, 'draining');
  setTimeout(() => {
    logger.error('did not drain in time');
    process.exit(1);
  }, DRAIN_TIMEOUT_MS).unref();
  await service.stop();
  process.exit(0);
}

/** Nobody relies yet on a service that is not ready, so one that is told to end before does not wait for what it needs. */
async function untilStarted(
  logger: Logger,
  starting: Promise<RunningService>,
  stopped: Promise<NodeJS.Signals>,
): Promise<RunningService> {
  const signal = await Promise.race([starting.then(() => undefined), stopped]);
  if (signal === undefined) return starting;
  logger.info({ signal }, 'told to end while starting');
  const timer = setTimeout(() => {
    process.exit(0);
  }, START_TIMEOUT_MS);
  return starting.finally(() => {
    clearTimeout(timer);
  });
}

/** Resolves with the name of the first signal; the second one ends the process at once. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.on(signal, () => {
        if (asked) process.exit(130);
        asked = true;
        resolve(signal);
      });
    }
  });
}

/** One line for the person at the terminal; the stack is for the debug log. */
export function exitWithError(logger: Logger, error: unknown): never {
  const message = error instanceof Error ? error.message : String(error);
  logger.debug({ err: error }, 'could not start');
  process.stderr.write(`posthaste: ${message}\n`);
  process.exit(1);
}
