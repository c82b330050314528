import type { Violation } from '#contracts/http/violations';
import { makeAddressGuard } from '#outbound/address-guard';
import { makeSinkUrlCheck } from '#outbound/sink-url';

export interface SinkPolicy {
  readonly allowCidrs: readonly string[];
  readonly allowHttp: boolean;
  /** Base URL of the built-in inbox; everything below it is allowed. */
  readonly inboxUrl?: string;
}

const HINTS = {
  scheme_refused: 'An operator can permit http:// sinks with POSTHASTE_SINK_HTTP=true.',
  address_refused: 'An operator can exempt an address range with POSTHASTE_SINK_ALLOW, for example 10.1.0.0/16.',
} as const;

/**
 * Refuses a sink that could never be delivered to while its owner is looking. What a name resolves to is judged at every
 * connection, so this is a courtesy, not the guard.
 *
 * @throws InvalidCidr when the policy names a range that is none
 */
export function makeCheckSink({ allowCidrs, allowHttp, inboxUrl }: SinkPolicy): (sink: string) => readonly Violation[] {
  const guard = makeAddressGuard({ allowCidrs });
  const checkUrl = makeSinkUrlCheck({ allowHttp, guard, allowOrigins: inboxUrl === undefined ? [] : [inboxUrl] });
  return (sink) => {
    const checked = checkUrl(sink);
    if (!checked.ok) return [refused(`${checked.message} ${HINTS[checked.error]}`)];
    const why = !checked.exempt && isLocalhost(sink) ? guard('127.0.0.1') : undefined;
    return why === undefined ? [] : [refused(`localhost is ${why}. ${HINTS.address_refused}`)];
  };
}

function isLocalhost(sink: string): boolean {
  const name = new URL(sink).hostname.replace(/\.$/, '');
  return name === 'localhost' || name.endsWith('.localhost');
}

function refused(detail: string): Violation {
  return { rule: 'SA-7', pointer: '/sink', detail };
}
