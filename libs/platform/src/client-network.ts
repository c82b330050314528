import { isIPv4, isIPv6 } from 'node:net';

/** An address with the port that some proxies add in `X-Forwarded-For`. */
const WITH_PORT = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/;
/** Longer than any address; what is none may be as long as a header. */
const LENGTH_MAX = 64;

/**
 * What one client has of the net: an address of IPv4, however it is written, and of IPv6 the /64, in which it can choose any
 * address. What is no address stands for itself, as far as it is not longer than one.
 */
export function clientNetworkOf(address: string): string {
  const [, bracketed, bare] = WITH_PORT.exec(address) ?? [];
  const [host = ''] = (bracketed ?? bare ?? address).split('%', 1);
  if (isIPv4(host)) return host;
  if (!isIPv6(host)) return address.slice(0, LENGTH_MAX);
  const groups = groupsOf(host);
  const [high = 0, low = 0] = groups.slice(6);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return [high >> 8, high & 255, low >> 8, low & 255].join('.');
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** All eight of a valid address. */
function groupsOf(host: string): readonly number[] {
  const [before = [], after = []] = host.split('::').map((part) => part.split(':').flatMap(numbersOf));
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => 0);
  return [...before, ...zeros, ...after];
}

/** An address of IPv4 at the end stands for two groups. */
function numbersOf(group: string): readonly number[] {
  if (group === '') return [];
  if (!isIPv4(group)) return [Number.parseInt(group, 16)];
  const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
  return [(a << 8) | b, (c << 8) | d];
}
