import { z } from 'zod';
import { required, strictMembers } from './violations.ts';

const HEADERS_MAX_COUNT = 32;
const HEADERS_MAX_BYTES = 8192;

/** What we send ourselves, and what would change where one request ends and the next one begins (SA-9). */
const RESERVED =
  /^(?:host|content-.*|transfer-encoding|te|trailer|connection|keep-alive|proxy-.*|upgrade|expect|date|user-agent|digest|signature.*|webhook-.*|ce-.*|traceparent|tracestate)$/i;

export const RESERVED_HEADERS_SAID =
  'Host, Content-*, Signature*, WebHook-*, ce-*, Digest, Date, User-Agent, traceparent, tracestate, and those of the connection';

/** True of a header that a subscriber can not set. */
export function isReservedHeader(name: string): boolean {
  return RESERVED.test(name);
}

const headers = z.unknown().transform((value, context): Readonly<Record<string, string>> | undefined => {
  if (value === undefined) return undefined;
  const refuse = (message: string, ...path: string[]) => {
    context.addIssue({ code: 'custom', path, message, params: { rule: 'SA-9' } });
  };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    refuse('This must be an object of header names and their values.');
    return z.NEVER;
  }
  const entries = Object.entries(value);
  for (const [name, text] of entries) {
    for (const why of whatIsWrong(name, text)) refuse(why, name);
    if (entries.some(([other]) => other !== name && other.toLowerCase() === name.toLowerCase())) {
      refuse('This header is named twice, in different letter cases.', name);
    }
  }
  const bytes = entries.reduce((sum, [name, text]) => sum + name.length + String(text).length, 0);
  if (entries.length > HEADERS_MAX_COUNT) refuse(`There must be at most ${HEADERS_MAX_COUNT} headers.`);
  if (bytes > HEADERS_MAX_BYTES) refuse(`The headers must have at most ${HEADERS_MAX_BYTES} characters together.`);
  return entries.length === 0 ? undefined : (Object.fromEntries(entries) as Record<string, string>);
});

function* whatIsWrong(name: string, value: unknown): Iterable<string> {
  if (!/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name)) yield 'This is not the name of a header.';
  else if (isReservedHeader(name)) yield `This header can not be set; reserved: ${RESERVED_HEADERS_SAID}.`;
  if (typeof value !== 'string') yield 'This must be a string.';
  else if (!/^(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?$/.test(value)) {
    yield 'This must be printable ASCII without line breaks, and without blanks at its ends.';
  }
}

const method = z
  .literal('POST', {
    error: 'A webhook is delivered by POST (WH-2), so this must be "POST" or be left out.',
  })
  .default('POST');

/** `protocolsettings` of an HTTP sink. */
export const httpSettings = strictMembers({ method, headers: headers.optional() })
  .default({ method: 'POST', headers: undefined })
  .transform((given) => ({ method: given.method, ...(given.headers === undefined ? {} : { headers: given.headers }) }));

/** A subject to publish on: tokens between dots, no wildcards, nothing of the server's own. */
const SUBJECT = /^(?!\$)[^\s.*>\p{Cc}]+(?:\.[^\s.*>\p{Cc}]+)*$/u;

/** `protocolsettings` of a NATS sink. */
export const natsSettings = strictMembers({
  subject: z
    .string(required('the subject to publish on, such as orders.created (NB-5)'))
    .max(255, 'This must be at most 255 characters.')
    .regex(
      SUBJECT,
      'This must be a subject such as orders.created: without wildcards, blanks and empty tokens, not beginning with $.',
    ),
}).prefault({} as { subject: string });

/** Settings of a protocol that is not known: whatever they are, they are not what is wrong. */
export const anySettings = z.unknown().optional();
