export interface Welcome {
  readonly version: string;
  readonly startedInMs: number;
  readonly httpUrl: string;
  readonly registryUrl: string;
  readonly inboxUrl: string;
  readonly inboxSecret: string;
  readonly adminToken: string;
  readonly tenant: string;
  readonly apiKey: string;
  readonly dataDir: string;
  /** For producers on NATS; with credentials where the server is our own. */
  readonly natsUrl: string;
  /** Prefix of all subjects, '' for none. */
  readonly deployment: string;
  /** Address that the HTTP servers listen on. */
  readonly httpHost: string;
  /** Id of the event in the lines to paste; another one for each start, so that it is never a duplicate of old. */
  readonly eventId: string;
  /** Further lines, name and value: the processes of a cluster. */
  readonly more?: readonly (readonly [string, string])[];
}

/** What the terminal shows when everything is up: where things are, and three lines that work as they are. */
export function welcomeText(welcome: Welcome): string {
  const { httpUrl, registryUrl, inboxUrl, adminToken, tenant, apiKey, dataDir, natsUrl, more = [] } = welcome;
  const facts = [
    ['URL', httpUrl],
    ...(registryUrl === httpUrl ? [] : [['Management', registryUrl] as const]),
    ['Admin token', adminToken],
    ['Tenant', `${tenant}, API key ${apiKey}`],
    ['Inbox', `${inboxUrl}/hello`],
    ['NATS', `${natsUrl}  publish onto ${eventSubject(welcome)}`],
    ['Data', dataDir],
    ...more,
  ] as const;
  return `
Posthaste ${welcome.version} is ready (${(welcome.startedInMs / 1000).toFixed(1)} s). Ctrl-C stops it.

${facts.map(([name, value]) => `  ${name.padEnd(width(facts))}  ${value}`).join('\n')}

Three lines to paste into another terminal: subscribe the inbox, publish an event, look it up.

${pasteLines(welcome).join('\n\n')}

See it arrive, signature verified: ${inboxUrl}/hello
${inboxWarning(welcome)}
`;
}

function eventSubject({ deployment, tenant }: Welcome): string {
  return `${deployment === '' ? '' : `${deployment}.`}ce.${tenant}.<type>`;
}

/** One line when others than this machine reach the inboxes, which is right for a demonstration only. */
function inboxWarning({ httpHost }: Welcome): string {
  if (isLoopback(httpHost)) return '';
  return `\nWarning: it listens on ${httpHost}, and whoever reaches that can read every inbox and its signing secret without credentials.\n`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

/**
 * Subscribe, publish, look up: one shell line each. The last waits for the rows to be written, for those who paste all three
 * at once.
 */
export function pasteLines(welcome: Welcome): [string, string, string] {
  const { httpUrl, registryUrl, inboxUrl, inboxSecret, apiKey, eventId } = welcome;
  const authorization = `-H 'Authorization: Bearer ${apiKey}'`;
  const subscription = {
    sink: `${inboxUrl}/hello`,
    protocol: 'HTTP',
    config: { signature: { secret: inboxSecret } },
  };
  const event = {
    specversion: '1.0',
    id: eventId,
    source: '/hello',
    type: 'com.example.hello',
    datacontenttype: 'application/json',
    data: { text: 'Hello, Posthaste' },
  };
  const json = (type: string, body: unknown): string => `-H 'Content-Type: ${type}' -d '${JSON.stringify(body)}'`;
  const curl = `curl -sS -w '\\n'`;
  return [
    `${curl} ${registryUrl}/v1/subscriptions ${authorization} ${json('application/json', subscription)}`,
    `${curl} ${httpUrl}/publish ${authorization} ${json('application/cloudevents+json', event)}`,
    `sleep 1; ${curl} '${registryUrl}/v1/deliveries?event=${eventId}' ${authorization}`,
  ];
}

function width(facts: readonly (readonly [string, string])[]): number {
  return Math.max(...facts.map(([name]) => name.length));
}
