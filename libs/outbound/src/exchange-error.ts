import type { Exchange, ExchangeError } from '#core/delivery/outcome';

/** Node's and undici's codes that mean one thing; what is not listed is sorted by {@link byPattern}. */
const BY_CODE: Readonly<Record<string, ExchangeError>> = {
  'outbound.address_refused': 'address_refused',
  ECONNREFUSED: 'connect_refused',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  ETIMEDOUT: 'connect_timeout',
  EHOSTUNREACH: 'connect_failed',
  ENETUNREACH: 'connect_failed',
  ENETDOWN: 'connect_failed',
  EHOSTDOWN: 'connect_failed',
  EADDRNOTAVAIL: 'connect_failed',
  EACCES: 'connect_failed',
  EPERM: 'connect_failed',
  EMFILE: 'connect_failed',
  ENFILE: 'connect_failed',
  ENOBUFS: 'connect_failed',
  ENOTFOUND: 'dns',
  EPROTO: 'tls',
  CERT_HAS_EXPIRED: 'tls',
  CERT_NOT_YET_VALID: 'tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  UND_ERR_SOCKET: 'reset',
};

/** What ended an exchange without a status: the stable code, and one short sentence for whoever looks it up. */
export function toExchangeError(error: unknown): Extract<Exchange, { kind: 'error' }> {
  const { code, message } = describe(error);
  return { kind: 'error', error: BY_CODE[code] ?? byPattern(code), message };
}

/** Families of codes. An answer that is not HTTP (`HPE_…`, headers too large, a header that can not be sent) is last. */
function byPattern(code: string): ExchangeError {
  if (/^(?:EAI_|ESERVFAIL|EREFUSED|ENODATA|EDNS)/.test(code)) return 'dns';
  if (/^(?:ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|CRL_|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE))/.test(code)) return 'tls';
  return 'protocol';
}

const MESSAGE_MAX_CHARS = 300;

/** Reads the members instead of asking `instanceof`: the error may come from another copy of undici, or another realm. */
function describe(error: unknown): { code: string; message: string } {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  const knownCode = typeof code === 'string' ? code : '';
  const text = typeof message === 'string' && message !== '' ? message : knownCode || String(error);
  const [firstLine = ''] = text.split('\n');
  return { code: knownCode, message: firstLine.slice(0, MESSAGE_MAX_CHARS) };
}
