import { isWithin, parseCidr, parseIp, type Cidr, type IpBytes } from '#platform/ip-address';

/** What is wrong with an address as a sink, in a few words (`a loopback address`), or `undefined` when it may be one. */
export type AddressGuard = (address: string) => string | undefined;

/** IPv4 that is not globally reachable (IANA special-purpose registry), and what clouds put among the public ones. */
const REFUSED_V4: readonly (readonly [string, string])[] = [
  ['0.0.0.0/8', 'an unspecified address'],
  ['10.0.0.0/8', 'a private address'],
  ['100.64.0.0/10', 'a carrier-grade NAT address'],
  ['127.0.0.0/8', 'a loopback address'],
  ['169.254.0.0/16', 'a link-local address (cloud metadata)'],
  ['172.16.0.0/12', 'a private address'],
  ['192.0.0.0/24', 'a protocol-assignment address'],
  ['192.0.2.0/24', 'a documentation address'],
  ['192.88.99.0/24', 'a 6to4 relay address'],
  ['192.168.0.0/16', 'a private address'],
  ['198.18.0.0/15', 'a benchmarking address'],
  ['198.51.100.0/24', 'a documentation address'],
  ['203.0.113.0/24', 'a documentation address'],
  ['168.63.129.16/32', 'a cloud platform address (Azure)'],
  ['224.0.0.0/4', 'a multicast address'],
  ['240.0.0.0/4', 'a reserved address'],
];

/** IPv6 inside the global unicast space (2000::/3) that is not globally reachable or hides an IPv4 address. */
const REFUSED_V6: readonly (readonly [string, string])[] = [
  ['::/128', 'an unspecified address'],
  ['::1/128', 'a loopback address'],
  ['64:ff9b:1::/48', 'a local NAT64 address'],
  ['100::/64', 'a discard-only address'],
  ['2001::/23', 'a protocol-assignment address (Teredo, ORCHID, benchmarking)'],
  ['2001:db8::/32', 'a documentation address'],
  ['2002::/16', 'a 6to4 address'],
  ['3fff::/20', 'a documentation address'],
  ['fc00::/7', 'a unique local address'],
  ['fe80::/10', 'a link-local address'],
  ['fec0::/10', 'a site-local address'],
  ['ff00::/8', 'a multicast address'],
];

/** IPv6 that carries an IPv4 address in its last 32 bits and reaches it: judged by that address. */
const EMBEDS_V4 = ['::ffff:0:0/96', '64:ff9b::/96'].map(requireCidr);
const GLOBAL_UNICAST = requireCidr('2000::/3');

const refusedV4 = REFUSED_V4.map(([range, why]) => ({ cidr: requireCidr(range), why }));
const refusedV6 = REFUSED_V6.map(([range, why]) => ({ cidr: requireCidr(range), why }));

/**
 * Closed by default: only globally reachable unicast addresses may be sinks, and what the operator exempts.
 *
 * @param allowCidrs ranges that are exempt, for example `10.1.0.0/16`; an IPv4 range covers the IPv6 forms that embed it
 * @throws InvalidCidr naming every range that is none
 */
export function makeAddressGuard({ allowCidrs }: { allowCidrs: readonly string[] }): AddressGuard {
  const allowed = parseAllowed(allowCidrs);
  return (text) => {
    const address = parseIp(text);
    if (address === undefined) return 'not an IP address';
    const effective = embeddedV4(address) ?? address;
    if (allowed.some((cidr) => isWithin(address, cidr) || isWithin(effective, cidr))) return undefined;
    return whyRefused(effective);
  };
}

function embeddedV4(address: IpBytes): IpBytes | undefined {
  return EMBEDS_V4.some((cidr) => isWithin(address, cidr)) ? address.subarray(12) : undefined;
}

function whyRefused(address: IpBytes): string | undefined {
  const ranges = address.length === 4 ? refusedV4 : refusedV6;
  const why = ranges.find(({ cidr }) => isWithin(address, cidr))?.why;
  if (why !== undefined || address.length === 4 || isWithin(address, GLOBAL_UNICAST)) return why;
  return 'not a global unicast address';
}

function parseAllowed(texts: readonly string[]): Cidr[] {
  const parsed = texts.map((text) => ({ text, cidr: parseCidr(text) }));
  const invalid = parsed.filter(({ cidr }) => cidr === undefined).map(({ text }) => text);
  if (invalid.length > 0) throw new InvalidCidr(invalid);
  return parsed.flatMap(({ cidr }) => cidr ?? []);
}

function requireCidr(text: string): Cidr {
  const cidr = parseCidr(text);
  if (cidr === undefined) throw new InvalidCidr([text]);
  return cidr;
}

export class InvalidCidr extends Error {
  readonly code = 'outbound.invalid_cidr';

  constructor(texts: readonly string[]) {
    super(`Not a range of addresses: ${texts.join(', ')}. Write 10.1.0.0/16, fd00::/8 or a single address.`);
  }
}
