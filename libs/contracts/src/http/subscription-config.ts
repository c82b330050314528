import { z } from 'zod';
import { DEFAULT_RETRY_POLICY, type RetryPolicy } from '#core/delivery/retry-policy';
import { decodeBase64 } from '#core/event/base64';
import { timestampToUnixMs } from '#core/event/timestamp';
import { DEFAULT_VALIDATION, NO_VALIDATION } from '#core/registry/current-spec';
import type { Protocol, SubscriptionSpec, ValidationPolicy } from '#core/registry/subscription';
import { required, strictMembers } from './violations.ts';

const DAY_SECONDS = 86_400;
const RATE_MAX = 1_000_000;
const EVENTS_MAX = 1_000_000_000;

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

const whole = (unit: string, min: number, max: number) =>
  z
    .int(required(`a whole number of ${unit}, ${min} to ${max}`))
    .min(min, `This must be at least ${min}.`)
    .max(max, `This must be at most ${max}.`);

const seconds = (min: number, max: number) => whole('seconds', min, max);

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
}).transform(retryPolicyOf);

/**
 * Own delays end with the last of them; only the default schedule goes on. Otherwise a single short delay would mean to
 * knock at a dead sink every few seconds for a day.
 */
function retryPolicyOf(wanted: { readonly [Name in keyof RetryPolicy]?: RetryPolicy[Name] | undefined }): RetryPolicy {
  const whenExhausted = wanted.delaysSeconds === undefined ? DEFAULT_RETRY_POLICY.whenExhausted : 'stop';
  return {
    delaysSeconds: wanted.delaysSeconds ?? DEFAULT_RETRY_POLICY.delaysSeconds,
    whenExhausted: wanted.whenExhausted ?? whenExhausted,
    deadlineSeconds: wanted.deadlineSeconds ?? DEFAULT_RETRY_POLICY.deadlineSeconds,
    jitter: wanted.jitter ?? DEFAULT_RETRY_POLICY.jitter,
  };
}

const MODES = {
  HTTP: z.enum(['required', 'optional', 'none'], 'This must be "required", "optional" or "none".'),
  NATS: z.literal('none', 'This must be "none": a NATS server can not be asked for its consent.'),
} as const;

const validationFor = (protocol: Protocol) => {
  const defaults = protocol === 'HTTP' ? DEFAULT_VALIDATION : NO_VALIDATION;
  return strictMembers({
    mode: MODES[protocol].optional(),
    method: z.enum(['webhook', 'event-grid', 'fic'], 'This must be "webhook", "event-grid" or "fic".').optional(),
    deadlineSeconds: seconds(1, DAY_SECONDS).optional(),
    callback: z.enum(['never', 'fallback', 'always'], 'This must be "never", "fallback" or "always".').optional(),
    requestedRate: whole('requests per minute', 1, RATE_MAX).optional(),
    revalidateSeconds: seconds(60, 366 * DAY_SECONDS).optional(),
  }).transform((wanted): ValidationPolicy => ({
    mode: wanted.mode ?? defaults.mode,
    method: wanted.method ?? defaults.method,
    deadlineSeconds: wanted.deadlineSeconds ?? defaults.deadlineSeconds,
    callback: wanted.callback ?? defaults.callback,
    ...(wanted.requestedRate === undefined ? {} : { requestedRate: wanted.requestedRate }),
    ...(wanted.revalidateSeconds === undefined ? {} : { revalidateSeconds: wanted.revalidateSeconds }),
  }));
};

const expiresAt = z
  .string(required('an instant such as 2030-01-01T00:00:00Z'))
  .refine(
    (text) => timestampToUnixMs(text) !== undefined,
    'This must be an RFC 3339 timestamp such as 2030-01-01T00:00:00Z.',
  );

export interface ConfigRequest {
  readonly config: SubscriptionSpec['config'];
  /** `whsec_…` as supplied. */
  readonly secret?: string;
}

/** `config` of a body, with every default (SA-5, SA-11). */
export const configFor = (protocol: Protocol) =>
  strictMembers({
    contentMode: z.enum(['structured', 'binary'], 'This must be "structured" or "binary".').default('structured'),
    signature: signature.prefault({}),
    retry: retry.prefault({}),
    validation: validationFor(protocol).prefault({}),
    expiresAt: expiresAt.optional(),
    maxEvents: whole('events', 1, EVENTS_MAX).optional(),
  })
    .transform((wanted): ConfigRequest => ({
      config: {
        contentMode: wanted.contentMode,
        signature: { profile: wanted.signature.profile },
        retry: wanted.retry,
        validation: wanted.validation,
        ...(wanted.expiresAt === undefined ? {} : { expiresAt: wanted.expiresAt }),
        ...(wanted.maxEvents === undefined ? {} : { maxEvents: wanted.maxEvents }),
      },
      ...(wanted.signature.secret === undefined ? {} : { secret: wanted.signature.secret }),
    }))
    .prefault({});
