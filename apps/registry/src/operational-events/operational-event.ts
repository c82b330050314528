import type { CloudEvent } from '#core/event/cloud-event';
import type { SubscriptionId } from '#core/ids';

/** Types of the events that Posthaste tells a tenant of its subscriptions by; their data is in docs/operational-events.md. */
export type OperationalType =
  | `io.posthaste.subscription.${'created' | 'updated' | 'paused' | 'resumed' | 'disabled' | 'retired' | 'expired' | 'deleted'}`
  | `io.posthaste.circuit.${'opened' | 'closed'}`
  | 'io.posthaste.delivery.dead';

export interface OperationalFacts {
  readonly type: OperationalType;
  /** The same occurrence always has the same id, however often it is told: with the source it is recognised as a repeat. */
  readonly id: string;
  /** The one that it is about: it never gets the event itself. */
  readonly subscription: SubscriptionId;
  readonly atMs: number;
  /** Members that are undefined are left out. */
  readonly data: Readonly<Record<string, unknown>>;
}

export function operationalEvent({ type, id, subscription, atMs, data }: OperationalFacts): CloudEvent {
  return {
    attributes: new Map([
      ['specversion', '1.0'],
      ['id', id],
      ['source', `/v1/subscriptions/${subscription}`],
      ['type', type],
      ['subject', subscription],
      ['time', isoOf(atMs)],
      ['datacontenttype', 'application/json'],
    ]),
    data: { bytes: new TextEncoder().encode(JSON.stringify({ subscription, ...data })), form: 'json' },
  };
}

export function isoOf(unixMs: number): string {
  return new Date(unixMs).toISOString();
}

/** The address without what is often a key to it: query, fragment and account. */
export function addressOf(sink: string): string {
  const { protocol, host, pathname } = new URL(sink);
  return `${protocol}//${host}${pathname}`;
}
