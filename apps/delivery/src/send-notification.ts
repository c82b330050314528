import type { Exchange, NatsExchange } from '#core/delivery/outcome';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { toHttpNotification } from '#core/event/http-binding';
import { toNatsMessage } from '#core/event/nats-binding';
import type { SubscriptionId, TenantId } from '#core/ids';
import type { Subscription, SubscriptionSpec } from '#core/registry/subscription';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import { requestOriginHeaders } from './validation/request-origin.ts';

type HeaderPair = readonly [string, string];

/** What sending needs from outside. */
export interface SendPorts {
  /** Signature headers. Waits while the signer is away: deliveries wait, they do not fail. */
  sign(request: {
    subscription: SubscriptionId;
    tenant: TenantId;
    messageId: string;
    timestampSeconds: number;
    body: Uint8Array;
  }): Promise<readonly HeaderPair[]>;
  post(url: string, headers: readonly HeaderPair[], body: Uint8Array): Promise<Exchange>;
  publish(server: string, subject: string, headers: readonly HeaderPair[], payload: Uint8Array): Promise<NatsExchange>;
  childTraceparent(parent: string | undefined): string;
  now(): number;
}

export interface SendOptions {
  readonly userAgent: string;
  /** DNS name of this installation, for sinks that have consented to any. */
  readonly origin: string;
}

export interface Sent {
  /** When everything was ready, Unix ms. */
  readonly sentAtMs: number;
  readonly exchange: Exchange | NatsExchange;
}

type SpecOf<Protocol> = Extract<SubscriptionSpec, { protocol: Protocol }>;

/** Makes a notification of an event, signs it and sends it once, by the protocol of the subscription. */
export function makeSendNotification(ports: SendPorts, { userAgent, origin }: SendOptions) {
  return (task: DeliveryTask, event: CloudEvent, subscription: Subscription): Promise<Sent> => {
    const { spec } = subscription;
    return spec.protocol === 'HTTP' ? post(task, event, subscription, spec) : publish(task, event, subscription, spec);
  };

  async function post(
    task: DeliveryTask,
    event: CloudEvent,
    subscription: Subscription,
    { sink, config, protocolsettings }: SpecOf<'HTTP'>,
  ): Promise<Sent> {
    const notification = toHttpNotification(event, config.contentMode);
    const headers: HeaderPair[] = [
      ['content-type', notification.contentType],
      ['user-agent', userAgent],
      ...requestOriginHeaders(subscription.validation, origin),
      ...Object.entries(protocolsettings.headers ?? {}), // none of ours are among them (SA-9)
      ...notification.headers,
      ...(await signatureOf(task, subscription, notification.body)),
      traceparentOf(task, event),
    ];
    const sentAtMs = ports.now();
    return { sentAtMs, exchange: await ports.post(sink, headers, notification.body) };
  }

  /** The NATS binding (NB-1 … NB-3), with the signature as headers of the message. */
  async function publish(
    task: DeliveryTask,
    event: CloudEvent,
    subscription: Subscription,
    { sink, config, protocolsettings }: SpecOf<'NATS'>,
  ): Promise<Sent> {
    const { headers: own, payload } = config.contentMode === 'binary' ? binaryMessage(event) : structuredMessage(event);
    const headers = [...own, ...(await signatureOf(task, subscription, payload)), traceparentOf(task, event)];
    const sentAtMs = ports.now();
    return { sentAtMs, exchange: await ports.publish(sink, protocolsettings.subject, headers, payload) };
  }

  async function signatureOf(task: DeliveryTask, { id, tenant, spec }: Subscription, body: Uint8Array) {
    if (spec.config.signature.profile === 'none') return [];
    const timestampSeconds = Math.floor(ports.now() / 1000);
    return ports.sign({ subscription: id, tenant, messageId: task.delivery, timestampSeconds, body });
  }

  function traceparentOf(task: DeliveryTask, event: CloudEvent): HeaderPair {
    return ['traceparent', ports.childTraceparent(attributeOf(event, 'traceparent') ?? task.traceparent)];
  }
}

interface Message {
  readonly headers: readonly HeaderPair[];
  readonly payload: Uint8Array;
}

/** The hints for our own reader (`ph-…`) are nobody else's business. */
function binaryMessage(event: CloudEvent): Message {
  const { headers, payload } = toNatsMessage(event);
  return { headers: headers.filter(([name]) => !name.startsWith('ph-')), payload };
}

function structuredMessage(event: CloudEvent): Message {
  const { contentType, body } = toHttpNotification(event, 'structured');
  return { headers: [['Content-Type', contentType]], payload: body };
}
