import { parseSubscriptionBody, type SubscriptionRequest } from '#contracts/http/subscription-body';
import type { Parsed } from '#contracts/http/violations';
import type { HeaderNames } from '#core/signature/header-names';
import { checkSinksOf, DEAD_LETTER_SINK, type CheckSink } from './check-sink.ts';

/**
 * Reads a whole subscription. When its body is not valid, what this installation refuses of its sinks is told along with
 * it, so that nobody mends one thing only to hear of the next.
 */
export function readSubscriptionBody(
  body: unknown,
  checkSink: CheckSink,
  names?: HeaderNames,
): Parsed<SubscriptionRequest> {
  const parsed = parseSubscriptionBody(body, names);
  if (parsed.ok) return parsed;
  const { sink, config } = (body ?? {}) as { sink?: unknown; config?: { deadLetterSink?: unknown } | null };
  const isTold = (pointer: string) => parsed.violations.some((violation) => violation.pointer === pointer);
  const refused = checkSinksOf(
    {
      sink: isTold('/sink') ? undefined : textOf(sink),
      deadLetterSink: isTold(DEAD_LETTER_SINK) ? undefined : textOf(config?.deadLetterSink),
    },
    checkSink,
  );
  return { ok: false, violations: [...parsed.violations, ...refused] };
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
