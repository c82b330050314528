import type { Bus } from '#bus/connection';
import { consumeEach, type Consuming } from '#bus/consume';
import type { Delivered } from '#bus/delivered';
import { decodeValidationTold, UnreadableValidation, type ValidationTold } from '#contracts/bus/validation';
import { readRecordMessage } from '../engine/read-message.ts';
import { makeReactToChange } from './react-to-change.ts';
import { makeRecordTold } from './record-told.ts';
import type { RequestValidation } from './request-validation.ts';
import { makeSweepValidations } from './sweep-validations.ts';
import { makeReactPorts, makeRecordPorts, type ValidationParts } from './validation.ports.ts';

const SLOTS = 32;
const SWEEP_EVERY_MS = 30_000;

export interface ValidationWorkerOptions {
  /** Default 30 000. */
  readonly sweepEveryMs?: number;
}

/**
 * The process manager of validations:
 *
 * ```
 * REGISTRY: created, sink changed, resumed ─┐
 * POST …/verify, an old consent ────────────┴► ValidationRequested ► VALIDATIONS: ask ► delivery asks the sink
 *                                                                                           │
 * ValidationRecorded, SubscriptionExpired ◄── VALIDATIONS: told ◄── answer, callback, deadline
 * ```
 */
export function startValidationWorker(
  parts: ValidationParts,
  requestValidation: RequestValidation,
  { sweepEveryMs = SWEEP_EVERY_MS }: ValidationWorkerOptions = {},
): Consuming {
  const { bus, snapshot, clock } = parts;
  const { streams, consumers } = bus.topology;
  const reactToChange = makeReactToChange(makeReactPorts(parts, requestValidation));
  const recordTold = makeRecordTold(makeRecordPorts(parts));
  const sweep = makeSweepValidations({
    subscriptions: () => snapshot.subscriptions(),
    requestValidation,
    recordTold,
    now: clock,
  });
  const changes = consumeEach(
    bus,
    { stream: streams.REGISTRY, consumer: consumers.subscriptionChanges, slots: SLOTS },
    async (message) => {
      const record = readRecordMessage(bus, message);
      const { seq, deliveryCount } = message;
      if (record !== undefined) await reactToChange({ record, seq, isRepeated: deliveryCount > 1 });
      message.ack();
    },
  );
  const told = consumeEach(
    bus,
    { stream: streams.VALIDATIONS, consumer: consumers.validationsTold, slots: SLOTS },
    async (message) => {
      const read = readTold(bus, message);
      const recorded = read && (await recordTold(read));
      if (recorded?.kind === 'early') message.nak(Math.min(recorded.waitMs, 5_000));
      else message.ack();
    },
  );
  const sweeping = startSweeping(bus, sweep, sweepEveryMs);
  return {
    isAlive: () => changes.isAlive() && told.isAlive(),
    async stop() {
      await Promise.all([changes.stop(), told.stop(), sweeping.stop()]);
    },
  };
}

function startSweeping(bus: Bus, sweep: () => Promise<void>, everyMs: number): { stop(): Promise<void> } {
  let running: Promise<void> | undefined;
  const timer = setInterval(() => {
    running ??= sweep()
      .catch((error: unknown) => {
        bus.logger.warn({ err: error }, 'looking for validations that are due failed; it is tried again');
      })
      .finally(() => (running = undefined));
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}

/** A message that nobody can read would come back for ever; it is told once and forgotten. */
function readTold(bus: Bus, { data, seq, subject }: Delivered): ValidationTold | undefined {
  try {
    return decodeValidationTold(data);
  } catch (error) {
    if (!(error instanceof UnreadableValidation)) throw error;
    bus.logger.error({ err: error, seq, subject }, 'what was told of a validation is not readable');
    return undefined;
  }
}
