import type { Delivered } from '#bus/delivered';
import { headerPairs } from '#bus/header-pairs';
import { parseNatsMessage } from '#core/event/nats-binding';
import type { TenantId } from '#core/ids';
import type { Logger } from '#platform/logger';
import type { MatchPorts, MatchResult } from './match-events.ts';
import type { StoredEvent } from './stored-event.ts';

/** Pause before a batch that could not be matched is tried again, for example while NATS elects a leader. */
const RETRY_DELAY_MS = 500;

export interface MatchBatchPorts {
  readonly catchUp: MatchPorts['catchUp'];
  readonly matchEvent: (stored: StoredEvent) => Promise<MatchResult>;
  readonly tenantOfSubject: (subject: string) => string | undefined;
  readonly observe: (result: MatchResult) => void;
  readonly logger: Logger;
}

/**
 * One pulled batch: take the fence once, then match every event of it side by side; each is acknowledged on its own.
 *
 * The fence stands here and not in the event: a gateway in another process may not yet have seen the registry sequence
 * that its own client was told about, but whatever was acknowledged before the publish is in the stream before the pull.
 */
export function makeMatchBatch(ports: MatchBatchPorts) {
  return async function matchBatch(messages: readonly Delivered[]): Promise<void> {
    try {
      await ports.catchUp();
    } catch (error) {
      ports.logger.warn({ err: error }, 'the registry can not be read; events wait');
      for (const message of messages) message.nak(RETRY_DELAY_MS);
      return;
    }
    await Promise.all(messages.map(matchMessage));
  };

  async function matchMessage(message: Delivered): Promise<void> {
    try {
      const result = await ports.matchEvent(toStoredEvent(message));
      message.ack();
      ports.observe(result);
    } catch (error) {
      ports.logger.warn({ err: error, seq: message.seq }, 'an event could not be matched; it will be redelivered');
      message.nak(RETRY_DELAY_MS);
    }
  }

  function toStoredEvent(message: Delivered): StoredEvent {
    const headers = headerPairs(message.headers);
    const traceparent = headers.find(([name]) => name.toLowerCase() === 'traceparent')?.[1];
    return {
      tenant: (ports.tenantOfSubject(message.subject) ?? '') as TenantId,
      subject: message.subject,
      seq: message.seq,
      acceptedAtMs: message.timestampMs,
      parsed: parseNatsMessage(headers, message.data),
      ...(traceparent === undefined ? {} : { traceparent }),
    };
  }
}
