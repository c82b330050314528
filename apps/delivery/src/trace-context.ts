const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$/;

/**
 * The `traceparent` of a notification (W3C Trace Context): the trace of the event or of its publish request goes on with
 * a span of ours; without one, or with a broken one, a new trace begins. The event's own attribute stays as it is, since
 * it names the starting trace (specs: distributed tracing extension).
 *
 * @param randomHex answers `n` random bytes as lower-case hex
 */
export function childTraceparent(parent: string | undefined, randomHex: (n: number) => string): string {
  const [, traceId, flags] = TRACEPARENT.exec(parent ?? '') ?? [];
  return `00-${traceId ?? randomHex(16)}-${randomHex(8)}-${flags ?? '00'}`;
}
