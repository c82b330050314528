import { setTimeout as delay } from 'node:timers/promises';
import { sendForJson, UnexpectedAnswer } from './http-client.ts';
import type { NotificationResource } from './inbox/notification-resource.ts';

export interface DemoOptions {
  readonly httpUrl: string;
  readonly registryUrl: string;
  readonly inboxUrl: string;
  readonly apiKey: string;
  readonly eventCount: number;
  /** Unique, so that other runs' events and subscriptions do not meet this one's. */
  readonly run: string;
  readonly print: (line: string) => void;
  /** All events must have arrived by then. Default 30 s. */
  readonly deadlineMs?: number;
}

/** An event did not arrive, or arrived without a good signature. */
export class DemoFailed extends Error {
  readonly code = 'all_in_one.demo_failed';
}

const INBOX = 'demo';
const TYPE = 'com.example.demo.greeted';
const POLL_MS = 50;

/**
 * The way of an event, from outside: subscribe, publish, see it arrive, look it up.
 *
 * @throws DemoFailed, UnexpectedAnswer
 */
export async function runDemo(options: DemoOptions): Promise<void> {
  const { httpUrl, registryUrl, inboxUrl, apiKey, eventCount, print } = options;
  const source = `/demo/${options.run}`;
  const subscriptionsUrl = `${registryUrl}/v1/subscriptions`;
  const subscription = await subscribe(options, subscriptionsUrl, source);
  print(`Subscribed ${inboxUrl}/${INBOX} to ${TYPE} from ${source} (${subscription})`);
  try {
    const sentAt = new Map<string, number>(); // Unix ms
    const arriving = watchInbox(options, source, sentAt);
    arriving.catch(() => undefined);
    for (let n = 1; n <= eventCount; n++) {
      const id = `${options.run}-${n}`;
      sentAt.set(id, Date.now());
      await publish(httpUrl, apiKey, { id, source, n });
      print(`  → published ${id} (${n} of ${eventCount})`);
    }
    await arriving;
  } finally {
    await sendForJson(`${subscriptionsUrl}/${subscription}`, { method: 'DELETE', token: apiKey });
  }
  print(`All ${eventCount} events arrived, every signature verified.`);
}

async function subscribe(options: DemoOptions, url: string, source: string): Promise<string> {
  const { apiKey, inboxUrl } = options;
  const { secret } = (await sendForJson(`${inboxUrl}/${INBOX}/notifications?limit=1`)) as { secret: string };
  const body = {
    sink: `${inboxUrl}/${INBOX}`,
    protocol: 'HTTP',
    types: [TYPE],
    source,
    config: { signature: { secret } },
  };
  const { id } = (await sendForJson(url, { method: 'POST', token: apiKey, body })) as { id: string };
  return id;
}

async function publish(
  httpUrl: string,
  token: string,
  { id, source, n }: { id: string; source: string; n: number },
): Promise<void> {
  await sendForJson(`${httpUrl}/publish`, {
    method: 'POST',
    token,
    contentType: 'application/cloudevents+json',
    body: {
      specversion: '1.0',
      id,
      source,
      type: TYPE,
      time: new Date().toISOString(),
      datacontenttype: 'application/json',
      data: { greeting: 'Hello, Posthaste', number: n },
    },
  });
}

/** Prints each event of this run once, as it arrives. */
async function watchInbox(
  { inboxUrl, eventCount, print, deadlineMs = 30_000 }: DemoOptions,
  source: string,
  sentAt: ReadonlyMap<string, number>,
): Promise<void> {
  const seen = new Set<string>();
  for (const end = performance.now() + deadlineMs; performance.now() < end; await delay(POLL_MS)) {
    for (const notification of await listInbox(inboxUrl)) {
      const { event, verified, problem, webhookId, receivedAt } = notification;
      const id = event?.['id'] ?? '';
      if (event?.['source'] !== source || seen.has(id)) continue;
      if (!verified) throw new DemoFailed(`${id} arrived, but its signature is not good: ${problem?.detail ?? ''}`);
      seen.add(id);
      const tookMs = Date.parse(receivedAt) - (sentAt.get(id) ?? Number.NaN);
      print(`  ← ${id} arrived after ${tookMs} ms, signature verified (${webhookId ?? ''})`);
    }
    if (seen.size === eventCount) return;
  }
  throw new DemoFailed(`Only ${seen.size} of ${eventCount} events arrived within ${deadlineMs / 1000} s.`);
}

async function listInbox(inboxUrl: string): Promise<readonly NotificationResource[]> {
  const list = await sendForJson(`${inboxUrl}/${INBOX}/notifications?limit=1000`);
  const { data } = list as { data?: readonly NotificationResource[] };
  if (data === undefined) throw new UnexpectedAnswer(`${inboxUrl}/${INBOX}/notifications is not an inbox.`);
  return data.toReversed();
}
