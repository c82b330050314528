import { z } from 'zod';
import {
  DEFAULT_RETRY_POLICY,
  defaultFloorsFor,
  isDefaultSchedule,
  type OutcomeOverride,
  type RetryPolicy,
} from '#core/delivery/retry-policy';
import { required, strictMembers } from './violations.ts';
import { DAY_SECONDS, seconds, whole } from './whole-number.ts';

const STATUSES_MAX_COUNT = 50;

const NOT_A_STATUS =
  'This must be a status from 300 to 599 such as "404", or a hundred: "3xx", "4xx" or "5xx". A 2xx is always delivered.';
const PAUSE_OF_429 =
  '429 can not be changed: it asks for a pause of the whole sink, which is kept. Leave it out; "4xx" does not mean it.';

/** An object whose names are statuses and hundreds, each of them judged. */
const perStatus = <Value extends z.ZodType>(what: string, value: Value, whyNot: (name: string) => string | undefined) =>
  z
    .record(
      z.string().refine((name) => whyNot(name) === undefined),
      value,
      {
        error: (issue) =>
          issue.code === 'invalid_key' ? whyNot(String(issue.path?.at(-1))) : `This must be an object of ${what}.`,
      },
    )
    .refine((values) => Object.keys(values).length <= STATUSES_MAX_COUNT, {
      error: `This must name at most ${STATUSES_MAX_COUNT} statuses.`,
    });

const isStatus = (name: string): boolean => /^[345](?:\d\d|xx)$/.test(name);

const outcomes = perStatus(
  'statuses and what follows from them, such as {"404": "fail", "409": "retry"}',
  z.enum(['retry', 'fail'], 'This must be "retry" (on the schedule) or "fail" (a dead letter at once).'),
  (name) => (name === '429' ? PAUSE_OF_429 : isStatus(name) ? undefined : NOT_A_STATUS),
);

const floorsSeconds = perStatus('statuses and seconds, such as {"503": 60}', seconds(1, DAY_SECONDS), (name) =>
  isStatus(name) ? undefined : NOT_A_STATUS,
);

const jitterRange = 'a number from 0 to 0.5: the share of a delay that is random';

/** `config.retry` of a body. */
export const retrySettings = strictMembers({
  delaysSeconds: z
    .array(seconds(1, DAY_SECONDS), required('an array of delays in seconds, for attempt 2, 3, …'))
    .min(1, 'At least one delay is needed.')
    .max(100, 'At most 100 delays are possible; "whenExhausted": "repeat-last" goes on with the last one.')
    .optional(),
  whenExhausted: z.enum(['repeat-last', 'stop'], 'This must be "repeat-last" or "stop".').optional(),
  maxAttempts: whole('attempts', 1, 1000).optional(),
  deadlineSeconds: seconds(60, DAY_SECONDS).optional(),
  jitter: z
    .number(required(jitterRange))
    .min(0, `This must be ${jitterRange}.`)
    .max(0.5, `This must be ${jitterRange}.`)
    .optional(),
  floorsSeconds: floorsSeconds.optional(),
  outcomes: outcomes.optional(),
}).transform(retryPolicyOf);

/**
 * Own delays end with the last of them and have no floors; only the default schedule goes on. Otherwise a single short
 * delay would mean to knock at a dead sink every few seconds for a day.
 */
function retryPolicyOf(wanted: { readonly [Name in keyof RetryPolicy]?: RetryPolicy[Name] | undefined }): RetryPolicy {
  const delaysSeconds = wanted.delaysSeconds ?? DEFAULT_RETRY_POLICY.delaysSeconds;
  const whenExhausted = isDefaultSchedule(delaysSeconds) ? DEFAULT_RETRY_POLICY.whenExhausted : 'stop';
  return {
    delaysSeconds,
    whenExhausted: wanted.whenExhausted ?? whenExhausted,
    deadlineSeconds: wanted.deadlineSeconds ?? DEFAULT_RETRY_POLICY.deadlineSeconds,
    jitter: wanted.jitter ?? DEFAULT_RETRY_POLICY.jitter,
    floorsSeconds: wanted.floorsSeconds ?? defaultFloorsFor(delaysSeconds),
    ...(wanted.maxAttempts === undefined ? {} : { maxAttempts: wanted.maxAttempts }),
    ...(hasNames(wanted.outcomes) ? { outcomes: wanted.outcomes } : {}),
  };
}

function hasNames(
  outcomes: Readonly<Record<string, OutcomeOverride>> | undefined,
): outcomes is Readonly<Record<string, OutcomeOverride>> {
  return outcomes !== undefined && Object.keys(outcomes).length > 0;
}
