import { html, trustedHtml, type Html } from './html.ts';
import { INBOX_SCRIPT, INBOX_STYLE } from './inbox-page.style.ts';
import { indentJson } from './indent-json.ts';
import type { InboxNotification } from './notification-ring.ts';
import { bodyText } from './notification-resource.ts';

export interface InboxPage {
  readonly name: string;
  /** The inbox as a sink, absolute. */
  readonly sinkUrl: string;
  readonly secret: string;
  /** Newest first. */
  readonly notifications: readonly InboxNotification[];
  /** Cursor of the page with the older ones. */
  readonly next?: string;
  /** True when this is a page of older ones, which does not change. */
  readonly isOlder: boolean;
}

// Whole elements: their text is hashed in the page's policy, so a formatter must not put a blank into them.
const STYLE = trustedHtml(`<style>${INBOX_STYLE}</style>`);
const SCRIPT = trustedHtml(`<script type="module">${INBOX_SCRIPT}</script>`);

/** Longest body that is shown; the JSON list has all of it. */
const SHOWN_BODY_CHARS = 64 * 1024;

/** The page of an inbox: plain HTML that works without scripts. */
export function renderInboxPage(page: InboxPage): string {
  const newest = String(page.notifications[0]?.seq ?? 0);
  const feed = `/inbox/${page.name}/notifications?limit=1`;
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>Inbox ${page.name} – Posthaste</title>
        ${STYLE}
      </head>
      <body data-newest="${newest}" data-feed="${feed}">
        <header>
          <h1>Inbox <code>${page.name}</code></h1>
          <p class="muted">
            A sink that shows and verifies what it receives. It keeps the last 1000 notifications in memory.
          </p>
          ${secretCard(page)}
        </header>
        <main>
          <h2 id="notifications">${page.isOlder ? 'Older notifications' : 'Notifications'}, newest first</h2>
          ${page.notifications.length === 0 ? emptyCard(page) : list(page)} ${footer(page)}
        </main>
        ${page.isOlder ? undefined : SCRIPT}
      </body>
    </html> `.html;
}

function secretCard({ sinkUrl, secret }: InboxPage): Html {
  return html`<dl class="facts card">
    <dt>Sink</dt>
    <dd><code>${sinkUrl}</code></dd>
    <dt>Signing secret</dt>
    <dd><code>${secret}</code></dd>
    <dt></dt>
    <dd class="muted">
      A subscription is verified here when it is made with this secret as <code>config.signature.secret</code>.
    </dd>
  </dl>`;
}

function emptyCard({ sinkUrl, secret, isOlder }: InboxPage): Html {
  if (isOlder) return html`<p class="card">There is nothing older.</p>`;
  const body = { sink: sinkUrl, protocol: 'HTTP', config: { signature: { secret } } };
  return html`<div class="card">
    <p>
      <strong>Nothing has arrived yet.</strong> Make a subscription with this body, then publish an event that it
      matches:
    </p>
    <pre>
POST /v1/subscriptions

${JSON.stringify(body, undefined, 2)}</pre>
  </div>`;
}

function list({ name, notifications, next }: InboxPage): Html {
  const older = next === undefined ? undefined : html`<nav><a href="/inbox/${name}?after=${next}">Older</a></nav>`;
  return html`<ol aria-labelledby="notifications">
      ${notifications.map((one) => html`<li>${card(one)}</li>`)}
    </ol>
    ${older}`;
}

function card(notification: InboxNotification): Html {
  const { event, receivedAtMs, notAnEvent, messageId } = notification;
  const receivedAt = new Date(receivedAtMs).toISOString();
  return html` <article>
    <div>
      ${pills(notification)}
      <h3>${event?.['type'] ?? 'Not a CloudEvent'}</h3>
      <time datetime="${receivedAt}">${receivedAt.replace('T', ' ').replace('Z', ' UTC')}</time>
    </div>
    ${reason(notification)}
    <dl class="facts">
      ${fact('id', event?.['id'])}${fact('source', event?.['source'])}${fact('subject', event?.['subject'])}${fact('time', event?.['time'])}
      ${fact('not an event', notAnEvent)}${fact('webhook-id', messageId)}
      ${fact('attempt', `${notification.attempt}, answered ${notification.answeredStatus}`)}
    </dl>
    ${bodyDetails(notification.body)}
    <details>
      <summary>Headers (${notification.headers.length})</summary>
      <pre>${notification.headers.map(([name, value]) => `${name}: ${value}`).join('\n')}</pre>
    </details>
  </article>`;
}

function pills({ verification, isDuplicate, answeredStatus }: InboxNotification): Html {
  const verdict = verification.ok
    ? html`<span class="pill good">✓ signature verified</span>`
    : html`<span class="pill bad">✗ not verified</span>`;
  const duplicate = isDuplicate ? html`<span class="pill note">duplicate</span>` : undefined;
  const refused = answeredStatus >= 300 ? html`<span class="pill note">answered ${answeredStatus}</span>` : undefined;
  return html`${verdict}${duplicate}${refused}`;
}

const ADVICE: Readonly<Record<string, string>> = {
  signature_mismatch:
    'If you made the subscription without this inbox’s secret, make it again with the secret at the top of this page.',
  profile_not_accepted: 'An inbox has a secret and no keys: it can not verify what is signed with a key of the tenant.',
  missing_header:
    'A subscription with the signature profile "none" sends no signature; so does whoever posts here by hand.',
};

function reason({ verification }: InboxNotification): Html | undefined {
  if (verification.ok) return undefined;
  const advice = ADVICE[verification.code];
  return html`<div class="reason bad"><p>${verification.detail}${advice === undefined ? '' : ` ${advice}`}</p></div>`;
}

function fact(name: string, value: string | undefined): Html | undefined {
  return value === undefined
    ? undefined
    : html`<dt>${name}</dt>
        <dd><code>${value}</code></dd>`;
}

function bodyDetails(body: Uint8Array): Html {
  const size = `${body.length} ${body.length === 1 ? 'byte' : 'bytes'}`;
  if (body.length === 0) return html`<p class="muted">No body</p>`;
  const text = bodyText(body);
  if (text === undefined) return html`<p class="muted">Body of ${size}, not text</p>`;
  const shown = indentJson(text).slice(0, SHOWN_BODY_CHARS);
  return html`<details>
    <summary>Body (${size})</summary>
    <pre>${shown}</pre>
  </details>`;
}

function footer({ name, sinkUrl }: InboxPage): Html {
  return html`<footer class="muted">
    <p><a href="/inbox/${name}">Refresh</a> · <a href="/inbox/${name}/notifications">As JSON</a></p>
    <details>
      <summary>Play a sink that is ill</summary>
      <p>
        Add to the sink’s URL: <code>status</code> (answer with it), <code>times</code> (only the first attempts of each
        delivery; then 204), <code>retryAfterSeconds</code>, <code>delayMs</code>. This one fails twice, then succeeds:
      </p>
      <pre>${sinkUrl}?status=500&times=2</pre>
    </details>
  </footer>`;
}
