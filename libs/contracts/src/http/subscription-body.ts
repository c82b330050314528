import { z } from 'zod';
import { isUriReference } from '#core/event/uri-reference';
import { credentialHeaderName, isHttps } from '#core/credential/authorization';
import { PROTOCOLS, type ShownCredential, type SubscriptionSpec, type Transmission } from '#core/registry/subscription';
import { WEBHOOK_HEADERS, type HeaderNames } from '#core/signature/header-names';
import { filtersMember } from './filters-member.ts';
import { withoutAliases } from './member-aliases.ts';
import { anySettings, httpSettings, natsSettings } from './protocol-settings.ts';
import { shownCredential, sinkCredential, type CredentialRequest } from './sink-credential.ts';
import { signatureHeaderClashes } from './signature-settings.ts';
import { sinks } from './sink-url.ts';
import { configFor } from './subscription-config.ts';
import { tenantHeaderClashes, withHeaderNames } from './tenant-headers.ts';
import { parseBody, required, strictMembers, type Parsed, type Violation } from './violations.ts';

/** What a subscription body asks for: the specification with every default applied, and apart from it the secrets. */
export interface SubscriptionRequest {
  /** As it stood in the body; ignored on create (SA-2), must be the path's on replace. */
  readonly id?: string;
  /** Without `sinkcredential`: whether there is one depends on what there was, see `credential`. */
  readonly spec: SubscriptionSpec;
  /** `whsec_…` as supplied; absent: generate one, or keep the one there is. */
  readonly secret?: string;
  readonly credential?: CredentialRequest;
}

const TEXT_MAX_LENGTH = 2048;
const TYPES_MAX_COUNT = 1000;

const attributeText = z
  .string(required('a non-empty string'))
  .min(1, 'This must not be empty.')
  .max(TEXT_MAX_LENGTH, `This must be at most ${TEXT_MAX_LENGTH} characters.`);

const protocol = z.enum(PROTOCOLS, {
  error: ({ input }) => {
    const got = input === undefined ? 'This is required' : `${JSON.stringify(input).slice(0, 50)} is not supported`;
    return `${got}; supported: ${PROTOCOLS.map((name) => `"${name}"`).join(' and ')}, in exactly this letter case (SA-8).`;
  },
});

/** What `GET` shows and only the service sets: taken, so that what `GET` answers is a valid body, and ignored. */
const READ_ONLY = ['id', 'state', 'stateReason', 'validation', 'createdAt', 'updatedAt'] as const;

const membersWith = <Sink extends z.ZodType, Settings extends z.ZodType>(
  name: 'HTTP' | 'NATS',
  sink: Sink,
  protocolsettings: Settings,
) =>
  strictMembers(
    {
      id: z.string('This must be a string.').optional(),
      sink,
      protocol,
      protocolsettings,
      types: z
        .array(attributeText, required('an array of event types'))
        .min(1, 'This must name at least one type; leave it out to get every type (SA-4).')
        .max(TYPES_MAX_COUNT, `This must name at most ${TYPES_MAX_COUNT} types; use a filter instead.`)
        .optional(),
      source: attributeText.refine(isUriReference, 'This must be a URI-reference (SA-3).').optional(),
      filters: filtersMember.prefault([]),
      sinkcredential: sinkCredential.optional(),
      config: configFor(name),
      state: z.unknown().optional(),
      stateReason: z.unknown().optional(),
      validation: z.unknown().optional(),
      createdAt: z.unknown().optional(),
      updatedAt: z.unknown().optional(),
    },
    READ_ONLY,
  );

const http = membersWith('HTTP', sinks.HTTP, httpSettings).transform((body) =>
  requestOf(body, { protocol: 'HTTP', protocolsettings: body.protocolsettings }),
);
const nats = membersWith('NATS', sinks.NATS, natsSettings).transform((body) =>
  requestOf(body, { protocol: 'NATS', protocolsettings: body.protocolsettings }),
);
/** With a protocol that is none of ours: never valid, but what else is wrong is told as well. */
const unknown = membersWith('HTTP', sinks.unknown, anySettings).transform((): SubscriptionRequest => z.NEVER);

type Members = Omit<
  z.output<ReturnType<typeof membersWith<typeof sinks.HTTP, typeof anySettings>>>,
  'protocolsettings'
>;

function requestOf(body: Members, transmission: Transmission): SubscriptionRequest {
  const { config, secret } = body.config;
  return {
    ...(body.id === undefined ? {} : { id: body.id }),
    ...(secret === undefined ? {} : { secret }),
    ...(body.sinkcredential === undefined ? {} : { credential: body.sinkcredential }),
    spec: {
      sink: body.sink,
      ...transmission,
      ...(body.source === undefined ? {} : { source: body.source }),
      ...(body.types === undefined ? {} : { types: body.types }),
      filters: body.filters,
      config,
    },
  };
}

/**
 * Reads the body of `POST /v1/subscriptions` and `PUT /v1/subscriptions/{id}` (SA-2 … SA-11). Lists everything that is
 * wrong, with pointers into what was sent. What `GET` answers is a valid body.
 *
 * @param names of the headers that the tenant's notifications have
 */
export function parseSubscriptionBody(
  sent: unknown,
  names: HeaderNames = WEBHOOK_HEADERS,
): Parsed<SubscriptionRequest> {
  const { value, violations, pointerAsSent } = withoutAliases(sent);
  const parsed = parseBody(schemaFor(value), withHeaderNames(value, names));
  if (parsed.ok && violations.length === 0) {
    const clashes = headerClashes(parsed.value, names);
    return clashes.length === 0 ? parsed : { ok: false, violations: clashes.map(asSent) };
  }
  return { ok: false, violations: [...violations, ...(parsed.ok ? [] : parsed.violations.map(asSent))] };

  function asSent(violation: Violation): Violation {
    return { ...violation, pointer: pointerAsSent(violation.pointer) };
  }
}

function schemaFor(value: unknown): z.ZodType<SubscriptionRequest> {
  const name = Object(value) as { readonly protocol?: unknown };
  if (name.protocol === 'NATS') return nats;
  return name.protocol === 'HTTP' ? http : unknown;
}

/** A header of a notification has one origin. */
function headerClashes({ spec, credential }: SubscriptionRequest, names: HeaderNames): readonly Violation[] {
  const shown = shownIn(credential);
  return [
    ...(shown === undefined ? [] : credentialHeaderClashes(spec, shown)),
    ...signatureHeaderClashes(spec),
    ...tenantHeaderClashes(spec, shown, names),
  ];
}

function shownIn(credential: CredentialRequest | undefined): ShownCredential | undefined {
  if (credential === undefined || credential.kind === 'remove') return undefined;
  return credential.kind === 'set' ? shownCredential(credential.credential) : credential;
}

/** A credential becomes a header of every notification, so there can not be another one of that name (SA-9). */
export function credentialHeaderClashes(spec: SubscriptionSpec, credential: ShownCredential): readonly Violation[] {
  const taken = credentialHeaderName(credential);
  if (spec.protocol !== 'HTTP') {
    const detail = `No credential can be sent by the protocol ${spec.protocol}; leave it out.`;
    return [{ rule: 'SA-10', pointer: '/sinkcredential', detail }];
  }
  if (credential.credentialtype === 'CLIENTCERTIFICATE' && !isHttps(spec.sink)) {
    const detail = 'A client certificate is a matter of TLS; the sink has to be an https:// URL.';
    return [{ rule: 'SA-10', pointer: '/sinkcredential', detail }];
  }
  const { signature } = spec.config;
  const names = [
    ...Object.keys(spec.protocolsettings.headers ?? {}).map(
      (name) => [`/protocolsettings/headers/${name}`, name] as const,
    ),
    ...Object.entries(signature.profile === 'hmac-timestamp' ? signature.headerNames : {}).map(
      ([which, name]) => [`/config/signature/headerNames/${which}`, name] as const,
    ),
  ];
  return names
    .filter(([, name]) => name.toLowerCase() === taken)
    .map(([pointer]) => ({
      rule: 'SA-9',
      pointer,
      detail: 'The sink credential sets this header; leave one of the two out.',
    }));
}
