import type { Detached } from '#bus/consume';
import type { Delivered } from '#bus/delivered';
import { headerPairs } from '#bus/header-pairs';
import { OPERATIONAL_MARK } from '#contracts/bus/operational-mark';
import { parseNatsMessage } from '#core/event/nats-binding';
import type { TenantId } from '#core/ids';
import type { Logger } from '#platform/logger';
import { TurnsClosed } from './fair-turns.ts';
import type { Matching, MatchPorts, MatchResult } from './match-events.ts';
import type { StoredEvent } from './stored-event.ts';

/** Pause before a batch that could not be matched is tried again, for example while NATS elects a leader. */
const RETRY_DELAY_MS = 500;

export interface MatchBatchPorts {
  readonly catchUp: MatchPorts['catchUp'];
  readonly matchEvent: (stored: StoredEvent) => Matching;
  readonly tenantOfSubject: (subject: string) => string | undefined;
  /** Of the subject that an event is stored under, the one that it was published on. */
  readonly publishedSubject: (stored: string) => string;
  readonly observe: (result: MatchResult) => void;
  readonly logger: Logger;
}

/**
 * One pulled batch: take the fence once, then match every event of it side by side; each is acknowledged on its own, when
 * all that follows from it is stored. Those that take turns go on beside the next batches.
 *
 * The fence stands here and not in the event: a gateway in another process may not yet have seen the registry sequence
 * that its own client was told about, but whatever was acknowledged before the publish is in the stream before the pull.
 */
export function makeMatchBatch(ports: MatchBatchPorts) {
  return async function matchBatch(messages: readonly Delivered[]): Promise<readonly Detached[]> {
    try {
      await ports.catchUp();
    } catch (error) {
      ports.logger.warn({ err: error }, 'the registry can not be read; events wait');
      for (const message of messages) message.nak(RETRY_DELAY_MS);
      return [];
    }
    const begun = messages.map(begin);
    await Promise.all(begun.filter(({ takesTurns }) => !takesTurns).map(({ work }) => work));
    return begun.filter(({ takesTurns }) => takesTurns);
  };

  function begin(message: Delivered): Detached & { readonly takesTurns: boolean } {
    try {
      const { takesTurns, result } = ports.matchEvent(toStoredEvent(message));
      return { message, takesTurns, work: settle(message, result) };
    } catch (error) {
      return { message, takesTurns: false, work: settle(message, Promise.reject(error as Error)) };
    }
  }

  async function settle(message: Delivered, matching: Promise<MatchResult>): Promise<void> {
    try {
      const result = await matching;
      message.ack();
      ports.observe(result);
    } catch (error) {
      if (error instanceof TurnsClosed) {
        message.nak();
        return;
      }
      ports.logger.warn({ err: error, seq: message.seq }, 'an event could not be matched; it will be redelivered');
      message.nak(RETRY_DELAY_MS);
    }
  }

  function toStoredEvent(message: Delivered): StoredEvent {
    const headers = headerPairs(message.headers);
    const traceparent = headers.find(([name]) => name.toLowerCase() === 'traceparent')?.[1];
    const isMarkedOperational = headers.some(([name, value]) => name === MARK_NAME && value === MARK_VALUE);
    return {
      tenant: (ports.tenantOfSubject(message.subject) ?? '') as TenantId,
      subject: ports.publishedSubject(message.subject),
      seq: message.seq,
      acceptedAtMs: message.timestampMs,
      parsed: parseNatsMessage(headers, message.data),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(isMarkedOperational ? { isMarkedOperational } : {}),
    };
  }
}

const [MARK_NAME, MARK_VALUE] = OPERATIONAL_MARK;
