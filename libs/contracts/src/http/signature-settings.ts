import { z } from 'zod';
import type { Protocol, SubscriptionSpec } from '#core/registry/subscription';
import { WEBHOOK_HEADERS } from '#core/signature/header-names';
import {
  ALL_CE_FIELDS,
  DEFAULT_COMPONENTS,
  DEFAULT_TAG,
  DERIVED_COMPONENTS,
  KEY_ALGORITHMS,
} from '#core/signature/rfc9421';
import {
  coversRequest,
  SIGNATURE_PROFILES,
  type SignatureProfile,
  type SignatureSettings,
} from '#core/signature/signature-settings';
import { isFormattedSecret, parseSecret } from '#core/signature/signing-secret';
import { required, strictMembers, type Violation } from './violations.ts';

const EXPIRES_MAX_SECONDS = 86_400;
const COMPONENTS_MAX_COUNT = 40;
const TAG_MAX_LENGTH = 100;

const secret = z.string(required('a secret such as whsec_…')).refine((text) => parseSecret(text).ok, {
  error:
    'This must be whsec_ followed by the base64 of 24 to 64 random bytes (SW-3); leave it out to get a generated one.',
});

const UNPADDED = 'Its whole text is the key with this profile, so it must be given with its padding: = at the end.';

/** What is wrong with a secret that is one, for a profile. */
export function whatIsWrongWithSecretOf(profile: SignatureProfile, text: string): string | undefined {
  return profile === 'hmac-timestamp' && parseSecret(text).ok && !isFormattedSecret(text) ? UNPADDED : undefined;
}

const profile = z.enum(SIGNATURE_PROFILES, `This must be one of ${quotedList(SIGNATURE_PROFILES)}.`);
const algorithm = z.enum(KEY_ALGORITHMS, `This must be ${quotedList(KEY_ALGORITHMS, ' or ')}.`);

const component = z.string(required('the name of a component')).superRefine((name, context) => {
  const message = whatIsWrongWithComponent(name);
  if (message !== undefined) context.addIssue({ code: 'custom', message, params: { rule: 'MS-7' } });
});

function whatIsWrongWithComponent(name: string): string | undefined {
  if (name.startsWith('@')) {
    const isKnown = DERIVED_COMPONENTS.some((known) => known === name);
    return isKnown ? undefined : `This is not known; known: ${DERIVED_COMPONENTS.join(', ')} and the names of headers.`;
  }
  if (name === ALL_CE_FIELDS || /^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name)) return undefined;
  return 'This must be the name of a header, in lower case.';
}

const components = z
  .array(component, required(`an array such as ${JSON.stringify(DEFAULT_COMPONENTS)}`))
  .min(1, 'At least one component is needed.')
  .max(COMPONENTS_MAX_COUNT, `At most ${COMPONENTS_MAX_COUNT} components are possible.`)
  .refine((names) => new Set(names).size === names.length, 'Every component may be named only once (MS-7).')
  .refine(
    (names) => names.includes('content-digest'),
    'This must include "content-digest": a signature without it would not cover the event.',
  );

/** What belongs to the message itself, or is set by other parts of a notification. */
const RESERVED =
  /^(?:host|content-.*|transfer-encoding|te|trailer|connection|keep-alive|proxy-.*|upgrade|expect|date|user-agent|authorization|digest|signature-input|ce-.*|traceparent|tracestate)$/;

const headerName = z
  .string(required('the name of a header'))
  .max(64, 'This must be at most 64 characters.')
  .transform((name) => name.toLowerCase())
  .superRefine((name, context) => {
    if (!/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name))
      context.addIssue({ code: 'custom', message: 'This is not the name of a header.' });
    else if (RESERVED.test(name))
      context.addIssue({ code: 'custom', message: 'This header has another meaning; choose another name.' });
  });

const headerNames = strictMembers({
  signature: headerName.default(WEBHOOK_HEADERS.hmacTimestamp.signature),
  id: headerName.default(WEBHOOK_HEADERS.hmacTimestamp.id),
}).refine((names) => names.signature !== names.id, {
  path: ['id'],
  error: 'This must be another header than "signature".',
});

const members = strictMembers({
  profile: profile.default('standard-webhooks'),
  secret: secret.optional(),
  algorithm: algorithm.optional(),
  components: components.optional(),
  tag: z
    .string(required('a text'))
    .regex(/^[\x20-\x7e]+$/, 'This must be printable ASCII, at least one character.')
    .max(TAG_MAX_LENGTH, `This must be at most ${TAG_MAX_LENGTH} characters.`)
    .optional(),
  expiresSeconds: z
    .int(required(`a whole number of seconds, 1 to ${EXPIRES_MAX_SECONDS}`))
    .min(1, 'This must be at least 1.')
    .max(EXPIRES_MAX_SECONDS, `This must be at most ${EXPIRES_MAX_SECONDS}.`)
    .optional(),
  verbatim: z.boolean(required('true or false')).optional(),
  headerNames: headerNames.optional(),
});

type Members = z.output<typeof members>;
type Setting = Exclude<keyof Members, 'profile'>;

/** Which settings have a meaning with a profile; all others are mistakes, and said to be. */
const SETTINGS_OF: Readonly<Record<SignatureProfile, readonly Setting[]>> = {
  'standard-webhooks': ['secret'],
  'standard-webhooks-v1a': [],
  rfc9421: ['algorithm', 'components', 'tag', 'expiresSeconds'],
  'http-signatures-draft-05': ['verbatim'],
  'hmac-timestamp': ['secret', 'headerNames'],
  none: [],
};

export interface SignatureRequest {
  readonly settings: SignatureSettings;
  /** `whsec_…` as supplied. */
  readonly secret?: string;
}

/** `config.signature` of a body, with every default (SA-11). */
export const signatureFor = (protocol: Protocol) =>
  members
    .superRefine((given, context) => {
      for (const issue of whatDoesNotFit(given, protocol)) context.addIssue({ code: 'custom', ...issue });
    })
    .transform((given): SignatureRequest => ({
      settings: settingsOf(given),
      ...(given.secret === undefined ? {} : { secret: given.secret }),
    }));

function* whatDoesNotFit(given: Members, protocol: Protocol): Iterable<{ path: string[]; message: string }> {
  const known = SETTINGS_OF[given.profile];
  for (const name of Object.keys(given) as (keyof Members)[]) {
    if (name === 'profile' || given[name] === undefined || known.includes(name)) continue;
    yield { path: [name], message: misplaced(name, given.profile) };
  }
  const message = given.secret === undefined ? undefined : whatIsWrongWithSecretOf(given.profile, given.secret);
  if (message !== undefined) yield { path: ['secret'], message };
  if (protocol !== 'HTTP' && coversRequest(settingsOf(given))) {
    yield {
      path: ['profile'],
      message: `"${given.profile}" signs an HTTP request, and there is none with the protocol ${protocol}.`,
    };
  }
}

function misplaced(name: Setting, given: SignatureProfile): string {
  const fitting = SIGNATURE_PROFILES.filter((other) => SETTINGS_OF[other].includes(name));
  const what = name === 'secret' ? 'A secret' : 'This';
  return `${what} has no use with the profile "${given}", only with ${quotedList(fitting, ' or ')}; leave it out.`;
}

function settingsOf(given: Members): SignatureSettings {
  switch (given.profile) {
    case 'rfc9421':
      return {
        profile: given.profile,
        algorithm: given.algorithm ?? 'ed25519',
        components: given.components ?? DEFAULT_COMPONENTS,
        tag: given.tag ?? DEFAULT_TAG,
        ...(given.expiresSeconds === undefined ? {} : { expiresSeconds: given.expiresSeconds }),
      };
    case 'http-signatures-draft-05':
      return { profile: given.profile, verbatim: given.verbatim ?? false };
    case 'hmac-timestamp':
      return { profile: given.profile, headerNames: given.headerNames ?? WEBHOOK_HEADERS.hmacTimestamp };
    case 'standard-webhooks':
    case 'standard-webhooks-v1a':
    case 'none':
      return { profile: given.profile };
  }
}

/** Headers that the subscription sets itself, and that its signature is to be sent in. */
export function signatureHeaderClashes({
  config: { signature },
  ...transmission
}: SubscriptionSpec): readonly Violation[] {
  const headers = transmission.protocol === 'HTTP' ? (transmission.protocolsettings.headers ?? {}) : {};
  const own = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const names = signature.profile === 'hmac-timestamp' ? Object.entries(signature.headerNames) : [];
  return names
    .filter(([, header]) => own.has(header))
    .map(([name, header]) => ({
      pointer: `/config/signature/headerNames/${name}`,
      detail: `protocolsettings.headers sets ${header}; choose another name, or leave it out there.`,
    }));
}

function quotedList(names: readonly string[], last = ', '): string {
  return names.map((name) => `"${name}"`).join(last);
}
