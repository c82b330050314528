import { z } from 'zod';
import { DEFAULT_CIRCUIT_POLICY, type CircuitPolicy } from '#core/lane/circuit-policy';
import { DEFAULT_MAX_IN_FLIGHT } from '#core/registry/current-spec';
import type { BatchPolicy, Protocol, SubscriptionSpec } from '#core/registry/subscription';
import { sinks } from './sink-url.ts';
import { required, strictMembers } from './violations.ts';
import { DAY_SECONDS, RATE_MAX, seconds, whole } from './whole-number.ts';

type Config = SubscriptionSpec['config'];

const ratioRange = 'a number from 0.05 to 1: the share of requests that failed';

const circuit = strictMembers({
  consecutiveFailures: whole('failures in a row', 1, 1000).optional(),
  failureRatio: z
    .number(required(ratioRange))
    .min(0.05, `This must be ${ratioRange}.`)
    .max(1, `This must be ${ratioRange}.`)
    .optional(),
  windowSeconds: seconds(10, 3600).optional(),
  minimumRequests: whole('requests', 1, 100_000).optional(),
  firstProbeSeconds: seconds(1, 1800).optional(),
  longestProbeSeconds: seconds(1, 3600).optional(),
  disableAfterSeconds: seconds(3600, 30 * DAY_SECONDS).optional(),
})
  .transform((wanted): CircuitPolicy => ({
    consecutiveFailures: wanted.consecutiveFailures ?? DEFAULT_CIRCUIT_POLICY.consecutiveFailures,
    failureRatio: wanted.failureRatio ?? DEFAULT_CIRCUIT_POLICY.failureRatio,
    windowSeconds: wanted.windowSeconds ?? DEFAULT_CIRCUIT_POLICY.windowSeconds,
    minimumRequests: wanted.minimumRequests ?? DEFAULT_CIRCUIT_POLICY.minimumRequests,
    firstProbeSeconds: wanted.firstProbeSeconds ?? DEFAULT_CIRCUIT_POLICY.firstProbeSeconds,
    longestProbeSeconds: wanted.longestProbeSeconds ?? DEFAULT_CIRCUIT_POLICY.longestProbeSeconds,
    disableAfterSeconds: wanted.disableAfterSeconds ?? DEFAULT_CIRCUIT_POLICY.disableAfterSeconds,
  }))
  .refine((policy) => policy.firstProbeSeconds <= policy.longestProbeSeconds, {
    path: ['firstProbeSeconds'],
    error: 'This must not be longer than longestProbeSeconds; make one of the two shorter or longer.',
  });

const BATCH_DEFAULTS: BatchPolicy = { maxEvents: 100, maxBytes: 262_144, maxWaitMs: 1000 };

const batch = strictMembers({
  maxEvents: whole('events', 1, 1000).optional(),
  maxBytes: whole('bytes', 1024, 1_048_576).optional(),
  maxWaitMs: whole('milliseconds', 0, 60_000).optional(),
}).transform((wanted): BatchPolicy => ({
  maxEvents: wanted.maxEvents ?? BATCH_DEFAULTS.maxEvents,
  maxBytes: wanted.maxBytes ?? BATCH_DEFAULTS.maxBytes,
  maxWaitMs: wanted.maxWaitMs ?? BATCH_DEFAULTS.maxWaitMs,
}));

/** Members of `config` that say how deliveries are sent: how fast, how many at once, in which order. */
export const deliveryMembers = {
  rate: strictMembers({ requestsPerMinute: whole('requests per minute', 1, RATE_MAX) }).optional(),
  maxInFlight: whole('requests at once', 1, 256).default(DEFAULT_MAX_IN_FLIGHT),
  ordering: z
    .enum(['none', 'subscription', 'partitionkey'], 'This must be "none", "subscription" or "partitionkey".')
    .default('none'),
  onDeadLetter: z.enum(['skip', 'block'], 'This must be "skip" or "block".').default('skip'),
  circuit: circuit.prefault({}),
  batch: batch.optional(),
  deadLetterSink: sinks.HTTP.optional(),
};

/** As they are read. */
type WantedSettings = z.output<z.ZodObject<typeof deliveryMembers>>;

/** The same, as they are stored. */
type DeliverySettings = Pick<Config, keyof WantedSettings>;

export function deliverySettingsOf(wanted: WantedSettings): DeliverySettings {
  return {
    maxInFlight: wanted.maxInFlight,
    ordering: wanted.ordering,
    onDeadLetter: wanted.onDeadLetter,
    circuit: wanted.circuit,
    ...(wanted.rate === undefined ? {} : { rate: wanted.rate }),
    ...(wanted.batch === undefined ? {} : { batch: wanted.batch }),
    ...(wanted.deadLetterSink === undefined ? {} : { deadLetterSink: wanted.deadLetterSink }),
  };
}

/** What a single member can not say: which of them do not go together. */
export function clashesOf(protocol: Protocol, wanted: Pick<Config, 'contentMode'> & WantedSettings): readonly Clash[] {
  const { contentMode, ordering, onDeadLetter } = wanted;
  const isBatched = wanted.batch !== undefined;
  const rules: readonly (Clash & { readonly holds: boolean })[] = [
    { holds: onDeadLetter === 'block' && ordering === 'none', member: 'onDeadLetter', detail: NOTHING_TO_BLOCK },
    { holds: isBatched && protocol !== 'HTTP', member: 'batch', detail: BATCH_IS_HTTP },
    { holds: isBatched && contentMode !== 'structured', member: 'batch', detail: BATCH_IS_STRUCTURED },
    { holds: isBatched && ordering !== 'none', member: 'batch', detail: BATCH_HAS_NO_ORDER },
  ];
  return rules.filter(({ holds }) => holds);
}

interface Clash {
  readonly member: 'onDeadLetter' | 'batch';
  readonly detail: string;
}

const NOTHING_TO_BLOCK =
  'Without an order there is nothing behind a dead letter to block; set "ordering", or "skip" here.';
const BATCH_IS_HTTP = 'Only an HTTP sink takes batches; leave this out.';
const BATCH_IS_STRUCTURED =
  'A batch is a JSON array of structured events; set "contentMode" to "structured", or leave this out.';
const BATCH_HAS_NO_ORDER =
  'An order means one event after the other, a batch several at once; set "ordering" to "none", or leave this out.';
