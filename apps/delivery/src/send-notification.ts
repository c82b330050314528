import { authorizationHeaderName, authorizationOf, usesClientCertificate } from '#core/credential/authorization';
import type { Exchange, NatsExchange } from '#core/delivery/outcome';
import { attributeOf, type CloudEvent } from '#core/event/cloud-event';
import { toHttpNotification, type HttpNotification } from '#core/event/http-binding';
import { toNatsMessage } from '#core/event/nats-binding';
import { toStructuredJson } from '#core/event/structured-json';
import type { DeliveryId, SubscriptionId, TenantId } from '#core/ids';
import type { ContentMode, Subscription, SubscriptionSpec } from '#core/registry/subscription';
import { withoutNamesOf } from '#core/signature/http-message';
import { coversRequest } from '#core/signature/signature-settings';
import type { DeliveryTask } from '#contracts/bus/delivery-task';
import type { AuthorizationRequest, SignedHead } from '#contracts/bus/sign';
import type { ClientIdentity } from '#outbound/client-identity';
import { SignatureRefused } from './sign-client.ts';
import { withoutSecret } from './without-secret.ts';
import { requestOriginHeaders } from './validation/request-origin.ts';

type HeaderPair = readonly [string, string];

/** What sending needs from outside. */
export interface SendPorts {
  /** Headers that sign and authorize, in this order. Waits while the signer is away: deliveries wait, they do not fail. */
  sign(request: {
    subscription: SubscriptionId;
    tenant: TenantId;
    messageId: string;
    timestampSeconds: number;
    body: Uint8Array;
    /** For the profiles that sign the request as well. */
    head?: SignedHead;
    /** Absent: no header is wanted that authorizes the notification. */
    authorization?: AuthorizationRequest;
  }): Promise<readonly HeaderPair[]>;
  /** Whom the requests of a subscription prove to be by TLS; undefined: nobody. Waits for the signer like {@link sign}. */
  identityOf(target: Subscription): Promise<ClientIdentity | undefined>;
  post(
    url: string,
    headers: readonly HeaderPair[],
    body: Uint8Array,
    identity: ClientIdentity | undefined,
  ): Promise<Exchange>;
  publish(server: string, subject: string, headers: readonly HeaderPair[], payload: Uint8Array): Promise<NatsExchange>;
  childTraceparent(parent: string | undefined): string;
  /** `webhook-id` of a batch: the same for the same members, so that a repeat is recognised. */
  batchIdOf(members: readonly DeliveryId[]): string;
  now(): number;
}

export interface SendOptions {
  /** What a tenant's notifications say they come from. */
  userAgentOf(tenant: TenantId): string;
  /** DNS name of this installation, for sinks that have consented to any. */
  readonly origin: string;
}

export interface Sent {
  /** When everything was ready, Unix ms. */
  readonly sentAtMs: number;
  /** The content mode that was really used. */
  readonly sentAs: ContentMode | 'batch';
  readonly exchange: Exchange | NatsExchange;
}

/**
 * Called when everything is ready, right before the request: it waits for the instant, or throws to prevent it. What has
 * grown old meanwhile is made ready again within it, since that may take as long as the signer does.
 */
export type BeforeRequest = (makeReady?: () => Promise<void>) => Promise<void>;

/** What is sent where. */
interface Sendable {
  readonly task: DeliveryTask;
  readonly event: CloudEvent;
  readonly target: Subscription;
}

interface RequestParts {
  readonly messageId: string;
  readonly trace: HeaderPair;
  readonly before: BeforeRequest | undefined;
  /** See `SecondTries`. */
  readonly refusedAtMs: number | undefined;
}

type SpecOf<Protocol> = Extract<SubscriptionSpec, { protocol: Protocol }>;

/** Makes a notification of one event or of a batch, signs it and sends it once, by the protocol of the subscription. */
export function makeSendNotification(ports: SendPorts, { userAgentOf, origin }: SendOptions) {
  function send(one: Sendable, before?: BeforeRequest): Promise<Sent> {
    const { spec } = one.target;
    return spec.protocol === 'HTTP' ? post(one, spec, before) : publish(one, spec, before);
  }

  /** All of one subscription, over HTTP. */
  function sendBatch(batch: readonly [Sendable, ...Sendable[]], before?: BeforeRequest): Promise<Sent> {
    const [{ target }] = batch;
    if (target.spec.protocol !== 'HTTP') throw new TypeError(`there are no batches over ${target.spec.protocol}`);
    const notification = toHttpBatch(batch.map(({ event }) => event));
    const messageId = ports.batchIdOf(batch.map(({ task }) => task.delivery));
    const trace: HeaderPair = ['traceparent', ports.childTraceparent(undefined)];
    const refused = batch.flatMap(({ task }) => task.credentialRefusedAtMs ?? []);
    const refusedAtMs = refused.length === 0 ? undefined : Math.max(...refused);
    return postNotification(target, target.spec, notification, { messageId, trace, before, refusedAtMs });
  }

  function post({ task, event, target }: Sendable, spec: SpecOf<'HTTP'>, before?: BeforeRequest): Promise<Sent> {
    const notification = toHttpNotification(event, task.contentModeFallback ?? spec.config.contentMode);
    const trace = traceparentOf(task, event);
    const { delivery: messageId, credentialRefusedAtMs: refusedAtMs } = task;
    return postNotification(target, spec, notification, { messageId, trace, before, refusedAtMs });
  }

  async function postNotification(
    target: Subscription,
    { sink, protocolsettings }: SpecOf<'HTTP'>,
    notification: Omit<HttpNotification, 'mode'> & { readonly mode: Sent['sentAs'] },
    { messageId, trace, before, refusedAtMs }: RequestParts,
  ): Promise<Sent> {
    const unsigned: HeaderPair[] = [
      ['content-type', notification.contentType],
      ['user-agent', userAgentOf(target.tenant)],
      ...requestOriginHeaders(target.validation, origin),
      ...Object.entries(protocolsettings.headers ?? {}), // none of ours are among them (SA-9)
      ...notification.headers,
    ];
    const { body } = notification;
    const isAuthorized = authorizationOf(target.spec) !== 'none';
    const refused = refusedAtMs === undefined ? {} : { refusedAtMs };
    const authorization = isAuthorized ? { sink, ...refused } : undefined;
    const makeHeaders = async (nowMs: number): Promise<HeaderPair[]> => {
      const head = coversRequest(target.spec.config.signature)
        ? headToSign(sink, unsigned, { nowMs, bodyBytes: body.length })
        : undefined;
      const signature = await signatureOf(messageId, target, body, { nowMs, head, authorization });
      const sent = head?.headers ?? unsigned;
      // A header of the subscriber has a name of ours only when its tenant has just got another prefix (SA-9).
      const kept = protocolsettings.headers === undefined ? sent : withoutNamesOf(signature, sent);
      return [...kept, ...signature, trace];
    };
    const isMutual = usesClientCertificate(target.spec);
    const nowMs = ports.now();
    let headers = await makeHeaders(nowMs);
    let identity = isMutual ? await ports.identityOf(target) : undefined;
    // A token that was good when the request was made ready may be over when its turn has come (SA-10), and its signature has
    // to be of the attempt (SW-1, MS-6).
    const renew = async (): Promise<void> => {
      if (ports.now() - nowMs <= READY_MS) return;
      headers = await makeHeaders(ports.now());
      if (isMutual) identity = await ports.identityOf(target);
    };
    await (before === undefined ? renew() : before(renew));
    const sentAtMs = ports.now();
    const exchange = await ports.post(sink, headers, body, identity);
    const secret = isAuthorized ? secretOf(headers, target.spec) : undefined;
    return { sentAtMs, sentAs: notification.mode, exchange: withoutSecret(exchange, secret) };
  }

  /** The NATS binding (NB-1 … NB-3), with the signature as headers of the message. */
  async function publish(
    { task, event, target }: Sendable,
    { sink, config, protocolsettings }: SpecOf<'NATS'>,
    before?: BeforeRequest,
  ): Promise<Sent> {
    const { contentMode } = config;
    const { headers: own, payload } = contentMode === 'binary' ? binaryMessage(event) : structuredMessage(event);
    const trace = traceparentOf(task, event);
    const makeHeaders = async (nowMs: number): Promise<HeaderPair[]> => {
      return [...own, ...(await signatureOf(task.delivery, target, payload, { nowMs })), trace];
    };
    const nowMs = ports.now();
    let headers = await makeHeaders(nowMs);
    const renew = async (): Promise<void> => {
      if (ports.now() - nowMs > READY_MS) headers = await makeHeaders(ports.now());
    };
    await (before === undefined ? renew() : before(renew));
    const sentAtMs = ports.now();
    const exchange = await ports.publish(sink, protocolsettings.subject, headers, payload);
    return { sentAtMs, sentAs: contentMode, exchange };
  }

  async function signatureOf(
    messageId: string,
    { id, tenant, spec }: Subscription,
    body: Uint8Array,
    { nowMs, head, authorization }: SignatureParts,
  ) {
    const isUnsigned = spec.config.signature.profile === 'none';
    if (isUnsigned && authorization === undefined) return [];
    const request = {
      subscription: id,
      tenant,
      messageId,
      timestampSeconds: Math.floor(nowMs / 1000),
      body: isUnsigned ? NOTHING : body,
      ...(head === undefined ? {} : { head }),
      ...(authorization === undefined ? {} : { authorization }),
    };
    const headers = await ports.sign(request);
    // Beside the header that authorizes it there is a signature, of nothing: the signer has heard of another profile already.
    if (isUnsigned && headers.length > 1) throw new SignatureRefused('other_profile', request);
    return headers;
  }

  function traceparentOf(task: DeliveryTask, event: CloudEvent): HeaderPair {
    return ['traceparent', ports.childTraceparent(attributeOf(event, 'traceparent') ?? task.traceparent)];
  }

  return { send, sendBatch };
}

/** What has waited for longer since it was made ready is made ready again. */
const READY_MS = 5_000;
const NOTHING = new Uint8Array();

interface SignatureParts {
  readonly nowMs: number;
  readonly head?: SignedHead | undefined;
  readonly authorization?: AuthorizationRequest | undefined;
}

/** What authorizes a request, as it is sent. */
function secretOf(headers: readonly HeaderPair[], spec: SubscriptionSpec): string | undefined {
  const wanted = authorizationHeaderName(spec);
  return headers.find(([name]) => name.toLowerCase() === wanted)?.[1];
}

/** The head with everything that a signature may cover; what is signed has to be sent exactly so (MS-4). */
function headToSign(
  sink: string,
  headers: readonly HeaderPair[],
  { nowMs, bodyBytes }: { readonly nowMs: number; readonly bodyBytes: number },
): SignedHead {
  const own: HeaderPair[] = [
    ['date', new Date(nowMs).toUTCString()],
    ['content-length', String(bodyBytes)],
  ];
  return { method: 'POST', url: new URL(sink).href, headers: [...headers, ...own] };
}

const BATCH_CONTENT_TYPE = 'application/cloudevents-batch+json; charset=UTF-8';

/** The batch format (JF-8): an array of the structured events, each with its data byte by byte. */
function toHttpBatch(events: readonly CloudEvent[]) {
  const members = events.map(toStructuredJson);
  const body = new Uint8Array(members.reduce((sum, { length }) => sum + length + 1, 1));
  let at = 0;
  for (const member of members) {
    body[at] = at === 0 ? ARRAY_START : COMMA;
    body.set(member, at + 1);
    at += member.length + 1;
  }
  body[at] = ARRAY_END;
  return { mode: 'batch' as const, contentType: BATCH_CONTENT_TYPE, headers: [], body };
}

const [ARRAY_START, COMMA, ARRAY_END] = [0x5b, 0x2c, 0x5d];

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
