import type { FastifyReply, FastifyRequest } from 'fastify';
import { subscriptionToResource, type SubscriptionResource } from '#contracts/http/subscription-resource';
import { isSubscriptionId, type SubscriptionId } from '#core/ids';
import { ProblemError } from '#platform/problem';
import { callerOf, requireScope } from '#platform/authenticate';
import { entityTag, ifMatch } from './entity-tag.ts';
import { conflict, invalidBody, notFound } from './problems.ts';
import type { RegistryPorts } from './registry.ports.ts';
import type { SubscriptionWritten, Target } from './write-subscriptions.ts';

/** What is not shaped like an id names nothing, and must not get into a subject of the bus. */
export function existingId(id: string): SubscriptionId {
  if (!isSubscriptionId(id)) throw notFound('subscription', id);
  return id;
}

/** Whom a request to change a subscription comes from, and what it asks of its revision. */
export async function targetOf(
  { authenticate }: Pick<RegistryPorts, 'authenticate'>,
  request: FastifyRequest,
  id: string,
): Promise<Target> {
  const principal = await authenticate(request.headers, request.ip);
  const tenant = requireScope(principal, 'manage');
  return { tenant, id: existingId(id), ...callerOf(principal), ifMatch: ifMatch(request.headers['if-match']) };
}

/**
 * The subscription as it was written, with its ETag; or the problem.
 *
 * @throws ProblemError for every other result
 */
export function showWritten(result: SubscriptionWritten, id: string, reply: FastifyReply): SubscriptionResource {
  if (result.kind !== 'written') throw problemOf(result, id);
  if (result.secret !== undefined) reply.header('cache-control', 'no-store');
  reply.header('etag', entityTag(result.subscription.revision));
  return subscriptionToResource(result.subscription, result.secret);
}

function problemOf(result: Exclude<SubscriptionWritten, { kind: 'written' }>, id: string): ProblemError {
  switch (result.kind) {
    case 'invalid':
      return invalidBody(result.violations);
    case 'not_found':
      return notFound('subscription', id);
    case 'conflict':
      return conflict('subscription');
    case 'refused':
      return new ProblemError({ status: 409, code: 'subscription-state', detail: result.detail });
    case 'sink_taken': {
      const detail = `The subscription ${result.by} has this sink already, and here a sink may stand in one only.`;
      return new ProblemError({
        status: 409,
        code: 'sink-taken',
        detail,
        errors: [{ rule: 'SA-7', pointer: '/sink', detail }],
      });
    }
    case 'changed':
      return new ProblemError({
        status: 412,
        code: 'precondition-failed',
        detail: 'The subscription is not the one of If-Match any more. Read it again; nothing was changed.',
      });
  }
}
