import { z } from 'zod';
import { isSubscriptionId, type SubscriptionId } from '#core/ids';
import { SUBSCRIPTION_STATES } from '#core/registry/subscription';
import { strictMembers } from './violations.ts';

const LIMIT_MAX = 250;

export const once = (what: string) => ({ error: `This must be given once: ${what}.` });

/** Parameters of every list: how many entries, and after which one. */
export const paging = {
  limit: z
    .string(once(`a whole number from 1 to ${LIMIT_MAX}`))
    .regex(/^[1-9]\d{0,2}$/, `This must be a whole number from 1 to ${LIMIT_MAX}.`)
    .transform(Number)
    .refine((limit) => limit <= LIMIT_MAX, `This must be at most ${LIMIT_MAX}.`)
    .optional(),
  after: z.string(once('the `next` of the page before')).min(1, 'This must not be empty.').optional(),
};

const subscription = z
  .string(once('the id of a subscription'))
  .refine(isSubscriptionId, 'This must be the id of a subscription, such as sub_….')
  .transform((id) => id as SubscriptionId)
  .optional();

const text = (what: string) => z.string(once(what)).min(1, 'This must not be empty.').optional();

export const pageQuery = strictMembers(paging);

/** `GET /v1/subscriptions`. */
export const subscriptionsQuery = strictMembers({
  sink: text('the sink'),
  source: text('the source that the subscription names'),
  type: text('a type that the subscription names'),
  state: z.enum(SUBSCRIPTION_STATES, `This must be one of ${SUBSCRIPTION_STATES.join(', ')}.`).optional(),
  ...paging,
  after: subscription,
});
export type SubscriptionsQuery = z.output<typeof subscriptionsQuery>;

/** `DELETE /v1/subscriptions`: never all of them. */
export const deleteSubscriptionsQuery = strictMembers({
  sink: z
    .string({ error: 'This is required, once: the sink of the subscriptions to delete.' })
    .min(1, 'This must not be empty.'),
});

/** `GET /v1/subscriptions/{id}/history`. */
export const historyQuery = strictMembers({
  ...paging,
  after: z
    .string(once('the `next` of the page before'))
    .regex(/^\d{1,15}$/, 'This must be the `next` of the page before, unchanged.')
    .transform(Number)
    .optional(),
});

const STATES = ['pending', 'retrying', 'delivered', 'dead'] as const;

/** `GET /v1/deliveries`. */
export const deliveriesQuery = strictMembers({
  event: text('the id of an event'),
  source: text('the source of the event'),
  subscription,
  state: z.enum(STATES, `This must be one of ${STATES.join(', ')}.`).optional(),
  ...paging,
}).refine((query) => query.source === undefined || query.event !== undefined, {
  path: ['source'],
  error: 'This tells events with the same id apart, so it needs `event` as well.',
});

/** `GET /v1/dead-letters`. */
export const deadLettersQuery = strictMembers({
  kind: z.enum(['delivery', 'rejected'], 'This must be delivery or rejected.').optional(),
  subscription,
  ...paging,
});

/** `GET /v1/events/{id}` and its data. */
export const eventQuery = strictMembers({ source: text('the source of the event') });
