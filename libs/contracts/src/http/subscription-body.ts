import { z } from 'zod';
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from '#core/delivery/retry-policy';
import { decodeBase64 } from '#core/event/base64';
import { isUriReference } from '#core/event/uri-reference';
import { parseFilters } from '#core/filter/parse-filters';
import type { SubscriptionSpec } from '#core/registry/subscription';
import { required, strictMembers } from './violations.ts';

/** What a subscription body asks for: the specification with every default applied, and apart from it the secret. */
export interface SubscriptionRequest {
  /** As it stood in the body; ignored on create (SA-2), must be the path's on replace. */
  readonly id?: string;
  readonly spec: SubscriptionSpec;
  /** `whsec_…` as supplied; absent: generate one, or keep the one there is. */
  readonly secret?: string;
}

const SINK_MAX_LENGTH = 2048;
const TYPES_MAX_COUNT = 1000;
const DAY_SECONDS = 86_400;

const attributeText = z
  .string(required('a non-empty string'))
  .min(1, 'This must not be empty.')
  .max(SINK_MAX_LENGTH, `This must be at most ${SINK_MAX_LENGTH} characters.`);

/** The form only. Whether this installation delivers there is its own question: see the registry's sink policy. */
const sink = z
  .string(required('the absolute URL to deliver to, such as https://example.com/hooks'))
  .max(SINK_MAX_LENGTH, `This must be at most ${SINK_MAX_LENGTH} characters.`)
  .superRefine((text, context) => {
    const url = URL.parse(text);
    const refuse = (message: string) => {
      context.addIssue({ code: 'custom', message, params: { rule: 'SA-7' } });
    };
    if (url === null) refuse('This must be an absolute URL such as https://example.com/hooks.');
    else if (url.protocol !== 'https:' && url.protocol !== 'http:') refuse('This must be an https URL (WH-1).');
    else if (url.username !== '' || url.password !== '') refuse('This must not contain a user name or password.');
    else if (text.includes('#')) refuse('This must not contain a fragment (#…): it is never sent to a server.');
  });

const protocol = z.literal('HTTP', {
  error: ({ input }) => {
    const got = input === undefined ? 'This is required' : `${JSON.stringify(input).slice(0, 50)} is not supported`;
    return `${got}; supported: "HTTP", in exactly this letter case (SA-8).`;
  },
});

const filters = z.unknown().transform((value, context) => {
  const parsed = parseFilters(value);
  if (parsed.ok) return parsed.filters;
  for (const { rule, path, detail } of parsed.violations) {
    context.addIssue({ code: 'custom', path: [...path], message: detail, params: { rule } });
  }
  return z.NEVER;
});

/** Standard members of the Subscriptions API that this version refuses rather than ignores. */
const notYet = (rule: string) =>
  z
    .unknown()
    .superRefine((_value, context) => {
      context.addIssue({
        code: 'custom',
        message: 'This member is not supported yet; leave it out.',
        params: { rule },
      });
    })
    .optional();

const secret = z.string(required('a secret such as whsec_…')).refine(isStandardWebhooksSecret, {
  error:
    'This must be whsec_ followed by the base64 of 24 to 64 random bytes (SW-3); leave it out to get a generated one.',
});

function isStandardWebhooksSecret(text: string): boolean {
  const bytes = text.startsWith('whsec_') ? decodeBase64(text.slice('whsec_'.length)) : undefined;
  return bytes !== undefined && bytes.length >= 24 && bytes.length <= 64;
}

const profile = z.enum(['standard-webhooks', 'none'], 'This must be "standard-webhooks" or "none".');

const signature = strictMembers({ profile: profile.default('standard-webhooks'), secret: secret.optional() }).refine(
  (value) => value.profile !== 'none' || value.secret === undefined,
  { path: ['secret'], error: 'A secret has no use with the profile "none"; leave one of the two out.' },
);

const seconds = (min: number, max: number) =>
  z
    .int(required(`a whole number of seconds, ${min} to ${max}`))
    .min(min, `This must be at least ${min} s.`)
    .max(max, `This must be at most ${max} s.`);

const jitterRange = 'a number from 0 to 0.5: the share of a delay that is random';

const retry = strictMembers({
  delaysSeconds: z
    .array(seconds(1, DAY_SECONDS), required('an array of delays in seconds, for attempt 2, 3, …'))
    .min(1, 'At least one delay is needed.')
    .max(100, 'At most 100 delays are possible; "whenExhausted": "repeat-last" goes on with the last one.')
    .optional(),
  whenExhausted: z.enum(['repeat-last', 'stop'], 'This must be "repeat-last" or "stop".').optional(),
  deadlineSeconds: seconds(60, DAY_SECONDS).optional(),
  jitter: z
    .number(required(jitterRange))
    .min(0, `This must be ${jitterRange}.`)
    .max(0.5, `This must be ${jitterRange}.`)
    .optional(),
});

/**
 * Own delays end with the last of them; only the default schedule goes on. Otherwise a single short delay would mean to
 * knock at a dead sink every few seconds for a day.
 */
function retryPolicyOf(wanted: z.output<typeof retry>): RetryPolicy {
  const whenExhausted = wanted.delaysSeconds === undefined ? DEFAULT_RETRY_POLICY.whenExhausted : 'stop';
  return {
    delaysSeconds: wanted.delaysSeconds ?? DEFAULT_RETRY_POLICY.delaysSeconds,
    whenExhausted: wanted.whenExhausted ?? whenExhausted,
    deadlineSeconds: wanted.deadlineSeconds ?? DEFAULT_RETRY_POLICY.deadlineSeconds,
    jitter: wanted.jitter ?? DEFAULT_RETRY_POLICY.jitter,
  };
}

const config = strictMembers({
  contentMode: z.enum(['structured', 'binary'], 'This must be "structured" or "binary".').default('structured'),
  signature: signature.default({ profile: 'standard-webhooks' }),
  retry: retry.default({}),
});

const DEFAULT_CONFIG: z.output<typeof config> = {
  contentMode: 'structured',
  signature: { profile: 'standard-webhooks' },
  retry: {},
};

/**
 * Body of `POST /v1/subscriptions` and `PUT /v1/subscriptions/{id}` (SA-2 … SA-11). What `GET` answers is a valid body,
 * so the members that only the service sets are taken and ignored.
 */
export const subscriptionBody = strictMembers(
  {
    id: z.string('This must be a string.').optional(),
    sink,
    protocol,
    types: z
      .array(attributeText, required('an array of event types'))
      .min(1, 'This must name at least one type; leave it out to get every type (SA-4).')
      .max(TYPES_MAX_COUNT, `This must name at most ${TYPES_MAX_COUNT} types; use a filter instead.`)
      .optional(),
    source: attributeText.refine(isUriReference, 'This must be a URI-reference (SA-3).').optional(),
    filters: filters.default([]),
    config: config.default(DEFAULT_CONFIG),
    protocolsettings: notYet('SA-9'),
    sinkcredential: notYet('SA-10'),
    createdAt: z.unknown().optional(),
    updatedAt: z.unknown().optional(),
  },
  ['id', 'protocolsettings', 'sinkcredential', 'createdAt', 'updatedAt'],
).transform((body): SubscriptionRequest => {
  const { contentMode, signature: wanted, retry: schedule } = body.config;
  return {
    ...(body.id === undefined ? {} : { id: body.id }),
    ...(wanted.secret === undefined ? {} : { secret: wanted.secret }),
    spec: {
      sink: body.sink,
      protocol: 'HTTP',
      ...(body.source === undefined ? {} : { source: body.source }),
      ...(body.types === undefined ? {} : { types: body.types }),
      filters: body.filters,
      config: { contentMode, signature: { profile: wanted.profile }, retry: retryPolicyOf(schedule) },
    },
  };
});
