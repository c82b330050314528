import { z } from 'zod';
import { timestampToUnixMs } from '#core/event/timestamp';
import { CREDENTIAL_TYPES, type CredentialType } from '#core/registry/subscription';
import { required, strictMembers } from './violations.ts';

/** A sink credential as it is sealed (SA-10). */
export type SinkCredential =
  | { readonly credentialtype: 'PLAIN'; readonly identifier: string; readonly secret: string }
  | ({ readonly credentialtype: 'ACCESSTOKEN' } & AccessToken)
  | ({
      readonly credentialtype: 'REFRESHTOKEN';
      readonly refreshtoken: string;
      readonly refreshtokenendpoint: string;
    } & AccessToken);

interface AccessToken {
  readonly accesstoken: string;
  /** RFC 3339. */
  readonly accesstokenexpiresutc: string;
  readonly accesstokentype: 'bearer';
}

/** What a body says about the credential. Saying nothing keeps the one there is. */
export type CredentialRequest =
  | { readonly kind: 'remove' }
  /** As it is shown: only its type. It has to be the type of the one there is. */
  | { readonly kind: 'keep'; readonly credentialtype: CredentialType }
  | { readonly kind: 'set'; readonly credential: SinkCredential };

const MAX_LENGTH = 8192;

const text = (what: string) =>
  z
    .string(required(what))
    .min(1, 'This must not be empty.')
    .max(MAX_LENGTH, `This must be at most ${MAX_LENGTH} characters.`)
    .regex(/^\P{Cc}*$/u, 'This must not contain control characters.');

/** RFC 6750 2.1: what can stand in an Authorization header. */
const token = (what: string) =>
  text(what).regex(
    /^[A-Za-z0-9\-._~+/]+=*$/,
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
  if (Object.keys(value as object).length === 1) return { kind: 'keep', credentialtype: type };
  const parsed = SHAPES[type].safeParse(value);
  if (parsed.success) return { kind: 'set', credential: { ...parsed.data, credentialtype: type } as SinkCredential };
  for (const issue of parsed.error.issues) context.issues.push({ ...issue, input: undefined } as never);
  return z.NEVER;
});

function isCredentialType(value: unknown): value is CredentialType {
  return CREDENTIAL_TYPES.includes(value as CredentialType);
}
