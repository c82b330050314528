import type { OnApplicationBootstrap, OnModuleDestroy } from '@nestjs/common';
import type { Logger } from '#platform/logger';

export const KEY_ROTATION = Symbol('KEY_ROTATION');

const EVERY_MS = 3_600_000;

export interface KeyRotationParts {
  /** Absent: keys are rotated by hand only. */
  readonly rotate?: () => Promise<void>;
  readonly logger: Logger;
}

/**
 * Rotates signing keys for as long as the registry runs, and waits for the round under way when it ends. A chore of the registry's
 * and not of the janitor's, which knows rows only: these are commands, and keys that the signer makes.
 */
export class KeyRotationRunner implements OnApplicationBootstrap, OnModuleDestroy {
  readonly #parts: KeyRotationParts;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(parts: KeyRotationParts) {
    this.#parts = parts;
  }

  onApplicationBootstrap(): void {
    const { rotate, logger } = this.#parts;
    if (rotate === undefined) return;
    const round = (): void => {
      this.#running = this.#running.then(rotate).catch((err: unknown) => {
        logger.warn({ err }, 'signing keys could not be rotated; once more later');
      });
    };
    this.#timer = setInterval(round, EVERY_MS).unref();
    round();
  }

  async onModuleDestroy(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }
}
