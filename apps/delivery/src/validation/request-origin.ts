import type { Validation } from '#core/registry/subscription';

/**
 * Header of a notification to a sink that has consented: the origin that it was asked to allow, on each one (WH-4). A
 * later change of POSTHASTE_ORIGIN counts only from the next handshake on.
 */
export function requestOriginHeaders(
  { status, grantedOrigin }: Validation,
  ownOrigin: string,
): readonly (readonly [string, string])[] {
  if (status !== 'granted') return [];
  const origin = grantedOrigin === undefined || grantedOrigin === '*' ? ownOrigin : grantedOrigin;
  return [['webhook-request-origin', origin]];
}
