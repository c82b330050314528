import { z } from 'zod';
import { isBearerToken } from '#core/credential/token-request';
import type { SinkCredential } from '#core/credential/sink-credential';
import { timestampToUnixMs } from '#core/event/timestamp';
import { CREDENTIAL_TYPES, type CredentialType, type ShownCredential } from '#core/registry/subscription';
import { isReservedHeader, RESERVED_HEADERS_SAID } from './protocol-settings.ts';
import { required, strictMembers } from './violations.ts';

/** What a body says about the credential. Saying nothing keeps the one there is. */
export type CredentialRequest =
  | { readonly kind: 'remove' }
  /** As it is shown: without its secrets. It has to be of the type of the one there is. */
  | ({ readonly kind: 'keep' } & ShownCredential)
  | { readonly kind: 'set'; readonly credential: SinkCredential };

const MAX_LENGTH = 8192;
const CERTIFICATE_MAX_LENGTH = 32_768;

const text = (what: string) =>
  z
    .string(required(what))
    .min(1, 'This must not be empty.')
    .max(MAX_LENGTH, `This must be at most ${MAX_LENGTH} characters.`)
    .regex(/^\P{Cc}*$/u, 'This must not contain control characters.');

/** RFC 6750 2.1: what can stand in an Authorization header. */
const token = (what: string) =>
  text(what).refine(
    isBearerToken,
    'This can not be a bearer token: those are A-Z a-z 0-9 - . _ ~ + / and = at the end.',
  );

const accessTokenMembers = {
  accesstoken: token('the access token'),
  accesstokenexpiresutc: z
    .string(required('the instant at which the access token expires, such as 2030-01-01T00:00:00Z'))
    .refine(
      (value) => timestampToUnixMs(value) !== undefined,
      'This must be an RFC 3339 timestamp such as 2030-01-01T00:00:00Z.',
    ),
  // REQUIRED by the prose, OPTIONAL with this default by the OpenAPI file of the specification.
  accesstokentype: z
    .string(required('"bearer"'))
    .regex(/^bearer$/i, 'This must be "bearer": no other type of token can be sent.')
    .transform((): 'bearer' => 'bearer')
    .default('bearer'),
};

const endpoint = z.string(required('the https URL of the token endpoint')).refine((value) => {
  const url = URL.parse(value);
  return url?.protocol === 'https:' && url.username === '' && url.password === '' && url.hash === '';
}, 'This must be an https URL without user and fragment.');

/** RFC 6749 appendix A. */
const scopes = z
  .string(required('scopes, separated by blanks'))
  .regex(
    /^[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*$/,
    'This must be scopes, separated by one blank each.',
  )
  .max(MAX_LENGTH, `This must be at most ${MAX_LENGTH} characters.`);

const keyHeader = z
  .string(required('the name of the header, such as X-API-Key'))
  .max(64, 'This must be at most 64 characters.')
  .superRefine((name, context) => {
    const message = whatIsWrongWithHeader(name);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

function whatIsWrongWithHeader(name: string): string | undefined {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) return 'This is not the name of a header.';
  return isReservedHeader(name) ? `This header can not be set; reserved: ${RESERVED_HEADERS_SAID}.` : undefined;
}

const pem = (what: string, form: RegExp, otherwise: string) =>
  z
    .string(required(what))
    .max(CERTIFICATE_MAX_LENGTH, `This must be at most ${CERTIFICATE_MAX_LENGTH} characters.`)
    .regex(form, otherwise);

/** Whether it is one, whose it is and when it is over needs more than a look: the registry sees to that. */
const clientCertificate = pem(
  'the certificate of the client, PEM',
  /^(?:\s*-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----)+\s*$/,
  'This must be PEM: -----BEGIN CERTIFICATE----- … -----END CERTIFICATE-----, that of the client first, then those between it and an authority.',
);
const privateKey = pem(
  'the private key of the certificate, PEM',
  // `openssl ecparam -genkey` puts the name of the curve before it.
  /^\s*(?:-----BEGIN EC PARAMETERS-----[A-Za-z0-9+/=\s]+-----END EC PARAMETERS-----\s*)?-----BEGIN (?<kind>(?:EC |RSA )?PRIVATE KEY)-----[A-Za-z0-9+/=\s]+-----END \k<kind>-----\s*$/,
  'This must be one private key in PEM, not encrypted: -----BEGIN PRIVATE KEY----- … -----END PRIVATE KEY-----.',
).transform((text) => text.slice(text.lastIndexOf('-----BEGIN')));

const SHAPES = {
  PLAIN: strictMembers({
    credentialtype: z.enum(CREDENTIAL_TYPES),
    identifier: text('the account or user name').regex(/^[^:]*$/, 'This must not contain a colon (RFC 7617).'),
    secret: text('the password'),
  }),
  ACCESSTOKEN: strictMembers({ credentialtype: z.enum(CREDENTIAL_TYPES), ...accessTokenMembers }),
  REFRESHTOKEN: strictMembers({
    credentialtype: z.enum(CREDENTIAL_TYPES),
    ...accessTokenMembers,
    refreshtoken: text('the refresh token'),
    refreshtokenendpoint: endpoint,
    clientid: text('the id of the client').optional(),
    clientsecret: text('the secret of the client').optional(),
  }).refine(({ clientid, clientsecret }) => clientsecret === undefined || clientid !== undefined, {
    path: ['clientid'],
    error: 'This is needed with a clientsecret.',
  }),
  CLIENTCREDENTIALS: strictMembers({
    credentialtype: z.enum(CREDENTIAL_TYPES),
    tokenendpoint: endpoint,
    clientid: text('the id of the client'),
    clientsecret: text('the secret of the client'),
    scopes: scopes.optional(),
    audience: text('the audience').optional(),
  }),
  APIKEY: strictMembers({
    credentialtype: z.enum(CREDENTIAL_TYPES),
    header: keyHeader,
    value: text('the key').regex(
      /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/,
      'This must be printable ASCII, without blanks at its ends.',
    ),
  }),
  CLIENTCERTIFICATE: strictMembers({
    credentialtype: z.enum(CREDENTIAL_TYPES),
    certificate: clientCertificate,
    privatekey: privateKey,
  }),
} as const;

/** `sinkcredential` of a body. No message repeats a value. */
export const sinkCredential = z.unknown().transform((value, context): CredentialRequest | undefined => {
  if (value === undefined) return undefined;
  if (value === null) return { kind: 'remove' };
  const type: unknown = (value as { credentialtype?: unknown }).credentialtype;
  if (!isCredentialType(type)) {
    const path = typeof value === 'object' && !Array.isArray(value) ? ['credentialtype'] : [];
    const message = `This must be ${path.length === 0 ? 'an object with "credentialtype", ' : ''}one of ${CREDENTIAL_TYPES.join(', ')}.`;
    context.addIssue({ code: 'custom', path, message, params: { rule: 'SA-10' } });
    return z.NEVER;
  }
  const kept = keptCredential(type, value as Readonly<Record<string, unknown>>);
  if (kept !== undefined) return kept;
  const parsed = SHAPES[type].safeParse(type === 'CLIENTCERTIFICATE' ? withoutFacts(value) : value);
  if (parsed.success) return { kind: 'set', credential: { ...parsed.data, credentialtype: type } as SinkCredential };
  for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: undefined } as never);
  return z.NEVER;
});

/** What `GET` shows of it is all that is there. */
function keptCredential(
  credentialtype: CredentialType,
  { credentialtype: _type, ...members }: Readonly<Record<string, unknown>>,
): CredentialRequest | undefined {
  const known: readonly string[] = SHOWN_MEMBERS[credentialtype] ?? [];
  const isShown = ([name, value]: [string, unknown]) => known.includes(name) && typeof value === 'string';
  return Object.entries(members).every(isShown) ? { kind: 'keep', credentialtype, ...members } : undefined;
}

/** What is shown of a certificate follows from it: who sends it back beside another one has not to take it out. */
function withoutFacts(value: object): object {
  const { certificatesha256: _sha256, certificateexpiresutc: _expiry, ...given } = value as Partial<ShownCredential>;
  return given;
}

/** Members that `GET` shows beside the type. */
const SHOWN_MEMBERS: {
  readonly [Type in CredentialType]?: readonly Exclude<keyof ShownCredential, 'credentialtype'>[];
} = {
  APIKEY: ['header'],
  CLIENTCERTIFICATE: ['certificatesha256', 'certificateexpiresutc'],
};

/** What of a credential may be shown as it was sent. Of a certificate there is more, once it is read. */
export function shownCredential(credential: SinkCredential): ShownCredential {
  const { credentialtype } = credential;
  return credentialtype === 'APIKEY' ? { credentialtype, header: credential.header } : { credentialtype };
}

function isCredentialType(value: unknown): value is CredentialType {
  return CREDENTIAL_TYPES.includes(value as CredentialType);
}
