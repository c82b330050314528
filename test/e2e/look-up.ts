import { eventually } from '#testkit/eventually';
import type { TenantClient } from '#testkit/tenant-client';

/** What `GET /v1/deliveries/{id}` answers, as far as tests look at it. */
export interface DeliveryView {
  readonly id: string;
  readonly subscription: string;
  readonly state: string;
  readonly reason?: string;
  readonly attemptCount: number;
  readonly event: { readonly id?: string; readonly source?: string; readonly type?: string };
  readonly attempts?: readonly AttemptView[];
}

export interface AttemptView {
  readonly number: number;
  readonly at: string;
  readonly durationMs: number;
  readonly status?: number;
  readonly outcome?: string;
  readonly error?: string;
  readonly responseBody?: string;
  readonly next?: { readonly kind: string; readonly at?: string };
}

export interface EventView {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly matchCount?: number;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

export interface DeadLetterView {
  readonly kind: 'delivery' | 'rejected';
  readonly delivery?: string;
  readonly subscription?: string;
  readonly reason?: string;
  readonly attemptCount?: number;
  readonly lastStatus?: number;
  readonly subject?: string;
  readonly event?: { readonly id?: string };
  readonly violations?: readonly { readonly rule: string; readonly pointer: string; readonly detail: string }[];
}

/** The one delivery of an event to a subscription, once the read side shows it in this state, with its attempts. */
export async function deliveryInState(
  client: TenantClient,
  event: string,
  subscription: string,
  state: string,
): Promise<DeliveryView> {
  return eventually(async () => {
    const [found, ...others] = await client.list<DeliveryView>(
      `/v1/deliveries?event=${encodeURIComponent(event)}&subscription=${subscription}`,
    );
    if (others.length > 0) throw new Error(`${others.length + 1} deliveries of one event to one subscription`);
    if (found?.state !== state) throw new Error(`the delivery is ${found?.state ?? 'not there'}, not ${state}`);
    return client.get<DeliveryView>(`/v1/deliveries/${found.id}`);
  });
}

/** The event, once the matcher's word on it has reached the read side. */
export async function matchedEvent(client: TenantClient, id: string): Promise<EventView> {
  return eventually(async () => {
    const event = await client.get<EventView>(`/v1/events/${encodeURIComponent(id)}`);
    return event.matchCount === undefined ? undefined : event;
  });
}
