import type { LoggerService } from '@nestjs/common';
import { pino, type Logger as PinoLogger } from 'pino';

export type Logger = PinoLogger;

/** Header and field names whose values never reach a log. */
const REDACTED = [
  'authorization',
  'secret',
  'key',
  'token',
  'password',
  '*.authorization',
  '*.secret',
  '*.key',
  '*.token',
];

/**
 * JSON lines on standard error, so that standard output stays free for what a command has to say.
 *
 * @param level one of pino's levels, default `info`; also for one that pino does not have, so that the configuration's own
 * check can say what is wrong with it
 */
export function makeLogger({ name, level = 'info' }: { name: string; level?: string }): Logger {
  return pino(
    {
      name,
      level: isLevel(level) ? level : 'info',
      base: { service: name },
      redact: { paths: REDACTED, censor: '[redacted]' },
    },
    pino.destination({ dest: 2, sync: false }),
  );
}

function isLevel(level: string): boolean {
  return level === 'silent' || level in pino.levels.values;
}

/** Nest's own lines: its start-up diary at debug level, warnings and errors as they are. */
export function nestLogger(logger: Logger): LoggerService {
  return {
    log: (message: unknown) => {
      logger.debug(String(message));
    },
    error: (message: unknown, stack: unknown) => {
      logger.error({ stack }, String(message));
    },
    warn: (message: unknown) => {
      logger.warn(String(message));
    },
    debug: (message: unknown) => {
      logger.debug(String(message));
    },
    verbose: (message: unknown) => {
      logger.trace(String(message));
    },
    fatal: (message: unknown) => {
      logger.fatal(String(message));
    },
  };
}
