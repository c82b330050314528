/** Where a NATS sink is. */
export interface NatsServer {
  /** Name or address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** `tls://`: never without. With `nats://` the server decides, as with every NATS client. */
  readonly requiresTls: boolean;
}

const DEFAULT_PORT = 4222;

/** Reads `nats://host:port` and `tls://host:port`; undefined when it is neither. */
export function parseNatsSink(text: string): NatsServer | undefined {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'nats:' && url.protocol !== 'tls:')) return undefined;
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const isBare = url.username === '' && url.password === '' && /^\/?$/.test(url.pathname) && !/[?#]/.test(text);
  if (host === '' || !isBare) return undefined;
  return { host, port: url.port === '' ? DEFAULT_PORT : Number(url.port), requiresTls: url.protocol === 'tls:' };
}
