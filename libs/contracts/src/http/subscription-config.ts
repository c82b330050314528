import { z } from 'zod';
import { timestampToUnixMs } from '#core/event/timestamp';
import { DEFAULT_VALIDATION, NO_VALIDATION } from '#core/registry/current-spec';
import type { Protocol, SubscriptionSpec, ValidationPolicy } from '#core/registry/subscription';
import { deliveryMembers, deliverySettingsOf, clashesOf } from './delivery-settings.ts';
import { retrySettings } from './retry-settings.ts';
import { signatureFor } from './signature-settings.ts';
import { required, strictMembers } from './violations.ts';
import { DAY_SECONDS, RATE_MAX, seconds, whole } from './whole-number.ts';

const EVENTS_MAX = 1_000_000_000;

const MODES = {
  HTTP: z.enum(['required', 'optional', 'none'], 'This must be "required", "optional" or "none".'),
  NATS: z.literal('none', 'This must be "none": a NATS server can not be asked for its consent.'),
} as const;

const AUTHORIZATIONS = {
  HTTP: z.enum(['jwt', 'none'], 'This must be "jwt" or "none".'),
  NATS: z.literal('none', 'This must be "none": a NATS server takes no token with a message.'),
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

/** A webhook has to carry a token (WH-7), so it does without anybody asking (WH-9, D3). */
const DEFAULT_AUTHORIZATION = { HTTP: 'jwt', NATS: 'none' } as const;

export interface ConfigRequest {
  readonly config: SubscriptionSpec['config'];
  /** `whsec_…` as supplied. */
  readonly secret?: string;
}

/** `config` of a body, with every default (SA-5, SA-11). */
export const configFor = (protocol: Protocol) =>
  strictMembers({
    contentMode: z.enum(['structured', 'binary'], 'This must be "structured" or "binary".').default('structured'),
    signature: signatureFor(protocol).prefault({}),
    retry: retrySettings.prefault({}),
    validation: validationFor(protocol).prefault({}),
    authorization: AUTHORIZATIONS[protocol].optional(),
    expiresAt: expiresAt.optional(),
    maxEvents: whole('events', 1, EVENTS_MAX).optional(),
    ...deliveryMembers,
  })
    .superRefine((wanted, context) => {
      for (const { member, detail } of clashesOf(protocol, wanted)) {
        context.addIssue({ code: 'custom', path: [member], message: detail });
      }
    })
    .transform((wanted): ConfigRequest => ({
      config: {
        contentMode: wanted.contentMode,
        signature: wanted.signature.settings,
        retry: wanted.retry,
        validation: wanted.validation,
        ...(wanted.expiresAt === undefined ? {} : { expiresAt: wanted.expiresAt }),
        ...(wanted.maxEvents === undefined ? {} : { maxEvents: wanted.maxEvents }),
        ...deliverySettingsOf(wanted),
        authorization: wanted.authorization ?? DEFAULT_AUTHORIZATION[protocol],
      },
      ...(wanted.signature.secret === undefined ? {} : { secret: wanted.signature.secret }),
    }))
    .prefault({});
