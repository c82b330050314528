import { unanswered, type HandshakeExchange, type HandshakeVerdict } from './handshake-verdict.ts';

export interface EventGridChallenge {
  /** Secret that the sink repeats, or whose URL it opens. */
  readonly code: string;
  /** Unique id of this validation event. */
  readonly id: string;
  /** What the sink is asked to take events for. */
  readonly topic: string;
  /** RFC 3339. */
  readonly time: string;
  /** Absent: only an answer in the response counts. */
  readonly callbackUrl?: string;
}

export const EVENT_GRID_HEADERS: readonly (readonly [string, string])[] = [
  ['content-type', 'application/json; charset=utf-8'],
  ['aeg-event-type', 'SubscriptionValidation'],
];

/** Body of the `SubscriptionValidationEvent` that sinks made for Azure Event Grid expect by POST: an array of one. */
export function eventGridBody({ code, id, topic, time, callbackUrl }: EventGridChallenge): string {
  return JSON.stringify([
    {
      id,
      topic,
      subject: '',
      data: { validationCode: code, ...(callbackUrl === undefined ? {} : { validationUrl: callbackUrl }) },
      eventType: 'Microsoft.EventGrid.SubscriptionValidationEvent',
      eventTime: time,
      metadataVersion: '1',
      dataVersion: '2',
    },
  ]);
}

/** Consent is `{"validationResponse": "<code>"}` with a 2xx status; a 2xx without it leaves the validation URL to be opened. */
export function readEventGridAnswer(
  exchange: HandshakeExchange,
  { code, callbackUrl }: Pick<EventGridChallenge, 'code' | 'callbackUrl'>,
): HandshakeVerdict {
  const nothing = unanswered(exchange);
  if (nothing !== undefined) return nothing;
  const { status, answered } = answeredMember(exchange, 'validationResponse');
  if (answered === code) return { kind: 'granted', origin: '*' };
  if (answered !== undefined) return { kind: 'denied', detail: 'The sink answered with another validation code.' };
  const said = `The sink answered ${status} without a validationResponse`;
  if (callbackUrl === undefined || status >= 300) return { kind: 'unsupported', detail: `${said}.` };
  return { kind: 'pending', detail: `${said}; it may still open the validation URL.` };
}

/** A member of a JSON object that came with a 2xx status; undefined when there is none. */
export function answeredMember(exchange: HandshakeExchange, name: string): { status: number; answered: unknown } {
  if (exchange.kind === 'error') return { status: 0, answered: undefined };
  const { status, body } = exchange;
  if (status >= 300 || body === undefined || body.truncated) return { status, answered: undefined };
  try {
    const value: unknown = JSON.parse(body.text);
    if (typeof value !== 'object' || value === null) return { status, answered: undefined };
    return { status, answered: Object.entries(value).find(([member]) => member === name)?.[1] };
  } catch {
    return { status, answered: undefined };
  }
}
