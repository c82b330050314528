import { isWithin, parseIp, type Cidr } from './ip-address.ts';

/** An address with the port that some proxies add in `X-Forwarded-For`. */
const WITH_PORT = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/;
/** Longer than any address; what is none may be as long as a header. */
const LENGTH_MAX = 64;
/** `::ffff:0:0/96` */
const IPV4_MAPPED: Cidr = {
  base: Uint8Array.from([...Array<number>(10).fill(0), 255, 255, 0, 0, 0, 0]),
  prefixBits: 96,
};

/**
 * What one client has of the net: an address of IPv4, however it is written, and of IPv6 the /64, in which it can choose any
 * address. What is no address stands for itself, as far as it is not longer than one.
 */
export function clientNetworkOf(address: string): string {
  const [, bracketed, bare] = WITH_PORT.exec(address) ?? [];
  const [host = ''] = (bracketed ?? bare ?? address).split('%', 1);
  const bytes = parseIp(host);
  if (bytes === undefined) return address.slice(0, LENGTH_MAX);
  if (bytes.length === 4) return bytes.join('.');
  if (isWithin(bytes, IPV4_MAPPED)) return bytes.subarray(12).join('.');
  return `${Buffer.from(bytes.subarray(0, 8)).toString('hex')}/64`;
}
