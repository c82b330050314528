import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { sign } from '#receiver/sign';

/** A request as it goes over the wire, and what has to become of it. */
export interface Delivery {
  readonly title: string;
  readonly bytes: Buffer;
  readonly isGenuine: boolean;
}

/** A captured request: `secrets` signed it, the first one is the receiver's. */
export interface Capture {
  readonly name: string;
  readonly profile: string;
  readonly atSeconds: number;
  readonly secrets: readonly [string, ...string[]];
  readonly request: string;
}

const CAPTURES = join(import.meta.dirname, '../../test/vectors/captured-deliveries.json');
const ANOTHER_SECRET = 'whsec_dGhlIHNlY3JldCBvZiBzb21lYm9keSBlbHNlLCAzMg==';
/** The libraries tolerate five minutes. */
const TOO_FAR_SECONDS = 6 * 60;

/** The captured deliveries that a library of Standard Webhooks verifies. */
export function readCaptures(): readonly Capture[] {
  const { captures } = JSON.parse(readFileSync(CAPTURES, 'utf8')) as { captures: readonly Capture[] };
  return captures.filter(({ profile }) => profile === 'standard-webhooks');
}

/** The secret that the receiver of these captures has. */
export function secretOf(captures: readonly Capture[]): string {
  const [secret, ...others] = new Set(captures.map(({ secrets }) => secrets[0]));
  if (secret === undefined || others.length > 0) throw new Error('The captures are not those of one receiver.');
  return secret;
}

/**
 * The same request as Posthaste would have sent it at another time: its attempts are signed anew, all other bytes stay. At
 * its own time that gives the very bytes that were captured.
 */
export function sentAt(
  capture: Capture,
  timestampSeconds: number,
  secrets: readonly string[] = capture.secrets,
): string {
  const [head, body] = split(capture.request);
  const messageId = /^webhook-id: (.*)$/m.exec(head)?.[1] ?? '';
  const signed = sign(
    { messageId, timestampSeconds, body: Buffer.from(body) },
    { profile: 'standard-webhooks', secrets },
  );
  return signed.reduce((request, [name, value]) => withHeader(request, name, value), capture.request);
}

/** What a verifier has to take, and what it has to refuse, made of one capture. */
export function deliveriesOf(capture: Capture, nowSeconds: number): readonly Delivery[] {
  const fresh = sentAt(capture, nowSeconds);
  const [, body] = split(fresh);
  const [own] = capture.secrets;
  const deliveries: Record<string, string> = {
    genuine: fresh,
    'genuine, with a signature by another secret before its own': sentAt(capture, nowSeconds, [ANOTHER_SECRET, own]),
    'with an altered body': fresh.replace('"Example"', '"Fxample"'),
    'with one byte more': `${withHeader(fresh, 'content-length', String(Buffer.byteLength(body) + 1))} `,
    'with another id': withHeader(fresh, 'webhook-id', 'dlv_00000000000000000000000002'),
    'signed with a wrong secret': sentAt(capture, nowSeconds, [ANOTHER_SECRET]),
    'with an old timestamp': sentAt(capture, nowSeconds - TOO_FAR_SECONDS),
    'with a timestamp of the future': sentAt(capture, nowSeconds + TOO_FAR_SECONDS),
    'with an old timestamp made new': withHeader(
      sentAt(capture, nowSeconds - TOO_FAR_SECONDS),
      'webhook-timestamp',
      String(nowSeconds),
    ),
    'without a signature': fresh.replace(/\r\nwebhook-signature: .*/, ''),
    'as it was captured, long ago': capture.request,
  };
  return Object.entries(deliveries).map(([title, request]) => ({
    title: `${capture.name}: ${title}`,
    bytes: Buffer.from(withHeader(request, 'connection', 'close')),
    isGenuine: title.startsWith('genuine'),
  }));
}

/** Head and body of a request. */
function split(request: string): readonly [string, string] {
  const end = request.indexOf('\r\n\r\n');
  return [request.slice(0, end).replaceAll('\r', ''), request.slice(end + 4)];
}

function withHeader(request: string, name: string, value: string): string {
  const line = new RegExp(`\r\n${name}: .*\r\n`);
  if (!line.test(request)) throw new Error(`The capture has no ${name}.`);
  return request.replace(line, () => `\r\n${name}: ${value}\r\n`);
}
