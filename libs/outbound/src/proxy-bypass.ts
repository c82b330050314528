import { isWithin, parseCidr, parseIp, type Cidr } from '#platform/ip-address';

/** Whether a sink is reached without the proxy. `addresses` are those of `host` as far as they are known. */
export type ProxyBypass = (host: string, port: number, addresses: readonly string[]) => boolean;

/**
 * Reads a list as in `NO_PROXY`: `*`, a name with everything below it (`example.com`, `.example.com`, `*.example.com`), an
 * address or a CIDR, each name and address also with a port (`example.com:8443`, `[::1]:8443`). Letter case does not matter.
 */
export function makeProxyBypass(list: readonly string[]): ProxyBypass {
  const rules = list.map(readRule);
  return (host, port, addresses) => {
    const name = host.toLowerCase().replace(/\.$/, '');
    return rules.some((rule) => (rule.port === undefined || rule.port === port) && rule.covers(name, addresses));
  };
}

interface Rule {
  readonly port?: number;
  covers(name: string, addresses: readonly string[]): boolean;
}

function readRule(text: string): Rule {
  const cidr = parseCidr(text);
  if (cidr !== undefined) return { covers: (_name, addresses) => isAnyWithin(addresses, cidr) };
  const [, bracketed, plain, digits] = /^(?:\[(.*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? {} : { port: Number(digits) };
  const host = (bracketed ?? plain ?? text).toLowerCase();
  const address = parseCidr(host);
  if (address !== undefined) return { ...port, covers: (_name, addresses) => isAnyWithin(addresses, address) };
  if (host === '*') return { ...port, covers: () => true };
  const suffix = host.replace(/^\*?\./, '').replace(/\.$/, '');
  return { ...port, covers: (name) => suffix !== '' && (name === suffix || name.endsWith(`.${suffix}`)) };
}

function isAnyWithin(addresses: readonly string[], cidr: Cidr): boolean {
  return addresses.some((text) => {
    const address = parseIp(text);
    return address !== undefined && isWithin(address, cidr);
  });
}
