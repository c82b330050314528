import type { Violation } from '#contracts/http/violations';
import { makeAddressGuard, type AddressGuard } from '#outbound/address-guard';
import { parseIp } from '#platform/ip-address';
import { parseNatsSink } from '#outbound/nats-sink-url';
import { makeSinkUrlCheck } from '#outbound/sink-url';

export interface SinkPolicy {
  readonly allowCidrs: readonly string[];
  readonly allowHttp: boolean;
  /** Base URL of the built-in inbox; everything below it is allowed. */
  readonly inboxUrl?: string;
}

/** @param pointer where the sink stands in the body, by default `/sink` */
export type CheckSink = (sink: string, pointer?: string) => readonly Violation[];

const HINTS = {
  scheme_refused: 'An operator can permit http:// sinks with POSTHASTE_SINK_HTTP=true.',
  address_refused: 'An operator can exempt an address range with POSTHASTE_SINK_ALLOW, for example 10.1.0.0/16.',
} as const;

/** Why this installation does not deliver to the sinks that a body names; a dead letter sink is one like any other. */
export function checkSinksOf({ sink, deadLetterSink }: NamedSinks, checkSink: CheckSink): readonly Violation[] {
  return [
    ...(sink === undefined ? [] : checkSink(sink)),
    ...(deadLetterSink === undefined ? [] : checkSink(deadLetterSink, DEAD_LETTER_SINK)),
  ];
}

export const DEAD_LETTER_SINK = '/config/deadLetterSink';

interface NamedSinks {
  readonly sink?: string | undefined;
  readonly deadLetterSink?: string | undefined;
}

/**
 * Refuses a sink that could never be delivered to while its owner is looking. What a name resolves to is judged at every
 * connection, so this is a courtesy, not the guard.
 *
 * @throws InvalidCidr when the policy names a range that is none
 */
export function makeCheckSink({ allowCidrs, allowHttp, inboxUrl }: SinkPolicy): CheckSink {
  const guard = makeAddressGuard({ allowCidrs });
  const checkUrl = makeSinkUrlCheck({ allowHttp, guard, allowOrigins: inboxUrl === undefined ? [] : [inboxUrl] });
  return (sink, pointer = '/sink') => whyRefused(sink).map((detail) => ({ rule: 'SA-7', pointer, detail }));

  function whyRefused(sink: string): readonly string[] {
    const natsServer = parseNatsSink(sink);
    if (natsServer !== undefined) return checkHost(natsServer.host, guard);
    const checked = checkUrl(sink);
    if (!checked.ok) return [`${checked.message} ${HINTS[checked.error]}`];
    return checked.exempt ? [] : checkHost(new URL(sink).hostname, guard);
  }
}

function checkHost(host: string, guard: AddressGuard): readonly string[] {
  const why = parseIp(host) === undefined && isLocalhost(host) ? guard('127.0.0.1') : whyAddressRefused(host, guard);
  return why === undefined ? [] : [`${host} is ${why}. ${HINTS.address_refused}`];
}

function whyAddressRefused(host: string, guard: AddressGuard): string | undefined {
  return parseIp(host) === undefined ? undefined : guard(host);
}

function isLocalhost(host: string): boolean {
  const name = host.replace(/\.$/, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost');
}
