import type { ParsedEvent } from '#core/event/cloud-event';
import type { TenantId } from '#core/ids';

/** An event as EVENTS keeps it. */
export interface StoredEvent {
  readonly tenant: TenantId;
  /** That it was published on. */
  readonly subject: string;
  readonly seq: number;
  readonly acceptedAtMs: number;
  readonly parsed: ParsedEvent;
  /** As it stands in the header: a producer on NATS may have written anything. */
  readonly traceparent?: string;
  /** It says of itself that a service of Posthaste published it. */
  readonly isMarkedOperational?: boolean;
}
