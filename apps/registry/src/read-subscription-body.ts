import { parseSubscriptionBody, type SubscriptionRequest } from '#contracts/http/subscription-body';
import type { Parsed } from '#contracts/http/violations';
import type { CheckSink } from './check-sink.ts';

/**
 * Reads a whole subscription. When its body is not valid, what this installation refuses of its sink is told along with
 * it, so that nobody mends one thing only to hear of the next.
 */
export function readSubscriptionBody(body: unknown, checkSink: CheckSink): Parsed<SubscriptionRequest> {
  const parsed = parseSubscriptionBody(body);
  if (parsed.ok || parsed.violations.some(({ pointer }) => pointer === '/sink')) return parsed;
  const { sink } = (body ?? {}) as { sink?: unknown };
  return typeof sink === 'string' ? { ok: false, violations: [...parsed.violations, ...checkSink(sink)] } : parsed;
}
