import { z } from 'zod';
import { DEAD_REASONS } from '#core/delivery/outcome';
import { timestampToUnixMs } from '#core/event/timestamp';
import { isRedeliveryId, isSubscriptionId, type RedeliveryId, type SubscriptionId } from '#core/ids';
import {
  REDELIVERABLE_STATES,
  REDELIVERY_STATES,
  SKIP_REASONS,
  type Redelivery,
  type RedeliverySelection,
  type RedeliveryState,
  type SkipReason,
} from '#core/registry/redelivery';
import { displayName } from './tenant-body.ts';
import { paging, once } from './page-query.ts';
import { required, strictMembers } from './violations.ts';

export const DEFAULT_REQUESTS_PER_MINUTE = 6_000;
const RATE_MAX = 60_000;
const TYPES_MAX = 100;

const listOf = (names: readonly string[]) => names.map((name) => `"${name}"`).join(', ');

const oneOf = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  z.enum(names, `This must be one of ${listOf(names)}.`);

/** Without repetitions. */
const someOf = <const Names extends readonly [string, ...string[]]>(names: Names) =>
  z
    .array(oneOf(names), required(`an array with some of ${listOf(names)}`))
    .min(1, 'This must not be empty; leave it out instead.')
    .transform((given): readonly Names[number][] =>
      names.filter((name) => (given as readonly string[]).includes(name)),
    );

const instantMs = z
  .string(required('an instant such as 2030-01-01T00:00:00Z'))
  .refine(
    (text) => timestampToUnixMs(text) !== undefined,
    'This must be an RFC 3339 timestamp such as 2030-01-01T00:00:00Z.',
  )
  .transform((text) => timestampToUnixMs(text) ?? 0);

const eventType = z
  .string(required('the type of an event'))
  .min(1, 'This must not be empty.')
  .max(1024, 'This must be at most 1024 characters.')
  .regex(/^\P{Cc}*$/u, 'This must not contain control characters.');

const rate = `a whole number of deliveries per minute, 1 to ${RATE_MAX}`;

/** Body of `POST /v1/redeliveries`; the body may be empty as well: every dead letter, then. */
export const redeliveryBody = strictMembers({
  subscription: z
    .string(required('the id of a subscription'))
    .refine(isSubscriptionId, 'This must be the id of a subscription, such as sub_….')
    .transform((id) => id as SubscriptionId)
    .optional(),
  states: someOf(REDELIVERABLE_STATES).default(['dead']),
  reasons: someOf(DEAD_REASONS).optional(),
  types: z
    .array(eventType, required('an array of event types'))
    .min(1, 'This must not be empty; leave it out instead.')
    .max(TYPES_MAX, `This must name at most ${TYPES_MAX} types.`)
    .optional(),
  since: instantMs.optional(),
  until: instantMs.optional(),
  dryRun: z.boolean('This must be true or false.').default(false),
  requestsPerMinute: z
    .int(required(rate))
    .min(1, `This must be ${rate}.`)
    .max(RATE_MAX, `This must be ${rate}.`)
    .default(DEFAULT_REQUESTS_PER_MINUTE),
  note: displayName.optional(),
}).superRefine(({ states, reasons, since, until }, context) => {
  const refuse = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (states.includes('delivered')) {
    if (since === undefined)
      refuse(['since'], 'This is required with "delivered": from when on it is to be sent again.');
    if (reasons !== undefined) refuse(['reasons'], 'Only what is dead has a reason; leave out this or "delivered".');
  }
  if (since !== undefined && until !== undefined && since >= until) refuse(['until'], 'This must be after `since`.');
});
export type RedeliveryBody = z.output<typeof redeliveryBody>;

/** `GET /v1/redeliveries`. */
export const redeliveriesQuery = strictMembers({
  state: z.enum(REDELIVERY_STATES, `This must be one of ${REDELIVERY_STATES.join(', ')}.`).optional(),
  ...paging,
  after: z
    .string(once('the `next` of the page before'))
    .refine(isRedeliveryId, 'This must be the `next` of the page before, unchanged.')
    .transform((id) => id as RedeliveryId)
    .optional(),
});
export type RedeliveriesQuery = z.output<typeof redeliveriesQuery>;

/** The selection with every default; `until` is the instant of the request at the latest. Instants are RFC 3339 in UTC. */
export interface RedeliverySelectionResource {
  readonly states: RedeliverySelection['states'];
  readonly subscription?: string;
  readonly reasons?: RedeliverySelection['reasons'];
  readonly types?: readonly string[];
  readonly since?: string;
  readonly until: string;
}

/** The answer to a dry run: nothing was begun. */
export interface RedeliveryPreview {
  readonly selection: RedeliverySelectionResource;
  readonly count: number;
}

/** How a redelivery job is shown. */
export interface RedeliveryResource extends RedeliveryPreview {
  readonly id: string;
  readonly state: RedeliveryState;
  readonly requestsPerMinute: number;
  readonly note?: string;
  /** Deliveries that have been given a new round, as of the last checkpoint. */
  readonly done: number;
  /** Deliveries that were passed over, by reason, each of them. */
  readonly skipped: Readonly<Record<SkipReason, number>>;
  readonly requestedAt: string;
  /** `admin`, or the id of the API key. */
  readonly by: string;
  readonly finishedAt?: string;
  readonly cancelledBy?: string;
  readonly failure?: string;
}

export function redeliveryToResource(job: Redelivery): RedeliveryResource {
  const { id, state, selection, requestsPerMinute, note, count, done, skipped, requestedAtMs, by } = job;
  return {
    id,
    state,
    selection: selectionToResource(selection),
    requestsPerMinute,
    ...(note === undefined ? {} : { note }),
    count,
    done,
    skipped: Object.fromEntries(SKIP_REASONS.map((reason) => [reason, skipped[reason] ?? 0])) as Record<
      SkipReason,
      number
    >,
    requestedAt: instant(requestedAtMs),
    by,
    ...(job.finishedAtMs === undefined ? {} : { finishedAt: instant(job.finishedAtMs) }),
    ...(job.cancelledBy === undefined ? {} : { cancelledBy: job.cancelledBy }),
    ...(job.failure === undefined ? {} : { failure: job.failure }),
  };
}

export function selectionToResource({ sinceMs, untilMs, ...rest }: RedeliverySelection): RedeliverySelectionResource {
  return { ...rest, ...(sinceMs === undefined ? {} : { since: instant(sinceMs) }), until: instant(untilMs) };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
