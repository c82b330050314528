import type { ShownCredential, SubscriptionSpec } from '#core/registry/subscription';
import type { HeaderNames } from '#core/signature/header-names';
import { jsonPointer, type Violation } from './violations.ts';

type Members = Readonly<Record<string, unknown>>;

/**
 * A body in which the header names that `hmac-timestamp` leaves out are those of the tenant: a default is part of a
 * subscription from then on (SA-11), so that its receiver goes on finding what it was shown.
 */
export function withHeaderNames(body: unknown, { hmacTimestamp }: HeaderNames): unknown {
  const config = isMembers(body) ? body['config'] : undefined;
  const signature = isMembers(config) ? config['signature'] : undefined;
  if (!isMembers(body) || !isMembers(config) || !isMembers(signature)) return body;
  const { profile, headerNames = {} } = signature;
  if (profile !== 'hmac-timestamp' || !isMembers(headerNames)) return body;
  const named = { ...signature, headerNames: { ...hmacTimestamp, ...headerNames } };
  return { ...body, config: { ...config, signature: named } };
}

/**
 * Headers that a subscription, or its credential, sets and that notifications of its tenant have anyway (SA-9). With the
 * usual prefix there can be none: `webhook-*` is reserved for all.
 */
export function tenantHeaderClashes(
  spec: SubscriptionSpec,
  credential: ShownCredential | undefined,
  { id, timestamp, signature }: HeaderNames,
): readonly Violation[] {
  if (spec.protocol !== 'HTTP') return [];
  const taken = [id, timestamp, signature];
  const own = [
    ...Object.keys(spec.protocolsettings.headers ?? {}).map((name) => ({
      name,
      pointer: jsonPointer(['protocolsettings', 'headers', name]),
    })),
    ...(credential?.header === undefined ? [] : [{ name: credential.header, pointer: '/sinkcredential/header' }]),
  ];
  return own
    .filter(({ name }) => taken.includes(name.toLowerCase()))
    .map(({ pointer }) => ({
      rule: 'SA-9',
      pointer,
      detail: `This header can not be set: notifications of this tenant have ${taken.join(', ')} for their signatures.`,
    }));
}

function isMembers(value: unknown): value is Members {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
