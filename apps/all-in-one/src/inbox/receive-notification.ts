import { setTimeout as delay } from 'node:timers/promises';
import { attributeToString, type CloudEvent } from '#core/event/cloud-event';
import { parseHttpRequest } from '#core/event/http-binding';
import { WEBHOOK_HEADERS } from '#core/signature/header-names';
import { verify } from '#receiver/verify';
import type { InboxNotification, NotificationRing } from './notification-ring.ts';
import { answerAs, type SinkAnswer, type SinkBehaviour } from './sink-behaviour.ts';

export interface NotificationRequest {
  readonly inbox: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
  readonly behaviour: SinkBehaviour;
}

interface Ports {
  readonly ring: NotificationRing;
  readonly secretOf: (inbox: string) => string;
  readonly now: () => number;
}

/** What an inbox does with a notification: verify it as a subscriber would, keep it, then answer. */
export function makeReceiveNotification({ ring, secretOf, now }: Ports) {
  return async ({ inbox, headers, body, behaviour }: NotificationRequest): Promise<SinkAnswer> => {
    const receivedAtMs = now();
    const examined = await examine(headers, body, secretOf(inbox), receivedAtMs);
    const messageId = headers.find(([name]) => name.toLowerCase() === WEBHOOK_HEADERS.id)?.[1];
    const history = messageId === undefined ? undefined : ring.history(inbox, messageId);
    const attempt = (history?.attemptCount ?? 0) + 1;
    const answer = answerAs(behaviour, attempt);
    ring.add(inbox, {
      receivedAtMs,
      headers: headers.map(withoutCredentials),
      body,
      ...examined,
      ...(messageId === undefined ? {} : { messageId }),
      attempt,
      isDuplicate: history?.isAccepted ?? false,
      answeredStatus: answer.status,
    });
    if (behaviour.delayMs > 0) await delay(behaviour.delayMs);
    return answer;
  };
}

type Examined = Pick<InboxNotification, 'verification' | 'event' | 'notAnEvent'>;

async function examine(
  headers: readonly (readonly [string, string])[],
  body: Uint8Array,
  secret: string,
  nowMs: number,
): Promise<Examined> {
  const verified = await verify({ headers, body }, { secrets: [secret], nowSeconds: nowMs / 1000 });
  if (verified.ok) return { verification: { ok: true }, event: attributesOf(verified.events[0]) };
  if (verified.code === 'not_a_cloudevent') return { verification: { ok: true }, ...eventIn(headers, body) };
  return { verification: verified, ...eventIn(headers, body) };
}

/** Also what is not to be trusted is shown: that is how one finds out why. */
function eventIn(
  headers: readonly (readonly [string, string])[],
  body: Uint8Array,
): Pick<InboxNotification, 'event' | 'notAnEvent'> {
  const parsed = parseHttpRequest(headers, body);
  if (!parsed.ok) return { notAnEvent: parsed.violations.map(({ detail }) => detail).join(' ') };
  const [event] = parsed.events;
  return event === undefined ? { notAnEvent: 'It is an empty batch.' } : { event: attributesOf(event) };
}

function attributesOf(event: CloudEvent): Readonly<Record<string, string>> {
  return Object.fromEntries([...event.attributes].map(([name, value]) => [name, attributeToString(value)]));
}

/** The page has no login: what opens other doors is not shown on it. */
function withoutCredentials([name, value]: readonly [string, string]): readonly [string, string] {
  return /^(authorization|proxy-authorization|cookie)$/i.test(name) ? [name, '[not shown]'] : [name, value];
}
