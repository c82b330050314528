/** An address as its bytes, in network order: 4 of IPv4 or 16 of IPv6. */
export type IpBytes = Uint8Array;

/** Reads dotted IPv4 or IPv6 in any of its spellings; a zone (`%eth0`) is dropped. `undefined` for anything else. */
export function parseIp(text: string): IpBytes | undefined {
  return text.includes(':') ? parseIpv6(text.replace(/%.*$/, '')) : parseIpv4(text);
}

function parseIpv4(text: string): IpBytes | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return Uint8Array.from(parts, Number);
}

function parseIpv6(text: string): IpBytes | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = parseGroups(halves[1] ?? '', true);
  if (head === undefined || tail === undefined) return undefined;
  const given = head.length + tail.length;
  if (halves.length === 1 ? given !== 16 : given > 14) return undefined;
  return Uint8Array.from([...head, ...new Array<number>(16 - given).fill(0), ...tail]);
}

/** `a:b` or, at the end of an address, `a:b:1.2.3.4`. */
function parseGroups(text: string, mayEndDotted: boolean): number[] | undefined {
  if (text === '') return [];
  const bytes: number[] = [];
  const groups = text.split(':');
  for (const [i, group] of groups.entries()) {
    const dotted = mayEndDotted && i === groups.length - 1 ? parseIpv4(group) : undefined;
    if (dotted !== undefined) {
      bytes.push(...dotted);
    } else if (/^[0-9a-f]{1,4}$/i.test(group)) {
      const value = parseInt(group, 16);
      bytes.push(value >> 8, value & 255);
    } else {
      return undefined;
    }
  }
  return bytes;
}

/** A range of addresses: those that share the first `prefixBits` bits. */
export interface Cidr {
  readonly base: IpBytes;
  readonly prefixBits: number;
}

/** Reads `10.1.0.0/16`, `fd00::/8`, or a single address. `undefined` for anything else. */
export function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefix, ...more] = text.split('/');
  const base = parseIp(address);
  if (base === undefined || more.length > 0 || address.includes('%')) return undefined;
  if (prefix === undefined) return { base, prefixBits: base.length * 8 };
  if (!/^\d{1,3}$/.test(prefix) || Number(prefix) > base.length * 8) return undefined;
  return { base, prefixBits: Number(prefix) };
}

export function isWithin(address: IpBytes, { base, prefixBits }: Cidr): boolean {
  if (address.length !== base.length) return false;
  const wholeBytes = prefixBits >> 3;
  for (let i = 0; i < wholeBytes; i++) {
    if (address[i] !== base[i]) return false;
  }
  const restMask = (0xff00 >> (prefixBits & 7)) & 0xff;
  return (((address[wholeBytes] ?? 0) ^ (base[wholeBytes] ?? 0)) & restMask) === 0;
}
