import { z } from 'zod';
import { required } from './violations.ts';

const MAX_LENGTH = 2048;

/** The form only. Whether this installation delivers there is its own question: see the registry's sink policy. */
const sinkUrl = (example: string, whatIsWrong: (url: URL) => string | undefined) =>
  z
    .string(required(`the absolute URL to deliver to, such as ${example}`))
    .max(MAX_LENGTH, `This must be at most ${MAX_LENGTH} characters.`)
    .superRefine((text, context) => {
      const url = URL.parse(text);
      const message = url === null ? `This must be an absolute URL such as ${example}.` : whatIsWrong(url);
      if (message !== undefined) context.addIssue({ code: 'custom', message, params: { rule: 'SA-7' } });
    });

const hasUser = (url: URL): boolean => url.username !== '' || url.password !== '';
const NO_USER = 'This must not contain a user name or password.';

/** `sink` by protocol; with a protocol that is not known, any URL. */
export const sinks = {
  HTTP: sinkUrl('https://example.com/hooks', (url) => {
    if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'This must be an https URL (WH-1).';
    if (hasUser(url)) return NO_USER;
    return url.href.includes('#') ? 'This must not contain a fragment (#…): it is never sent to a server.' : undefined;
  }),
  NATS: sinkUrl('nats://example.com:4222', (url) => {
    if (url.protocol !== 'nats:' && url.protocol !== 'tls:') return 'This must be a nats:// or tls:// URL.';
    if (hasUser(url)) return NO_USER;
    const isServer = url.hostname !== '' && /^\/?$/.test(url.pathname) && !/[?#]/.test(url.href);
    return isServer
      ? undefined
      : 'This must name a server and a port, nothing else; the subject goes into protocolsettings.';
  }),
  unknown: sinkUrl('https://example.com/hooks', () => undefined),
} as const;
