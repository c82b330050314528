import type { Exchange, ExchangeError } from '#core/delivery/outcome';

/** Node's and undici's codes that mean one thing; what is not listed is sorted by {@link byPattern}. */
const BY_CODE: Readonly<Record<string, ExchangeError>> = {
  'outbound.address_refused': 'address_refused',
  'outbound.proxy_failure': 'proxy',
  ECONNREFUSED: 'connect_refused',
  UND_ERR_CONNECT_TIMEOUT: 'connect_timeout',
  ETIMEDOUT: 'connect_timeout',
  EHOSTUNREACH: 'connect_failed',
  ENETUNREACH: 'connect_failed',
  ENETDOWN: 'connect_failed',
  EHOSTDOWN: 'connect_failed',
  EACCES: 'connect_failed',
  EPERM: 'connect_failed',
  EADDRNOTAVAIL: 'local_resources',
  EMFILE: 'local_resources',
  ENFILE: 'local_resources',
  ENOBUFS: 'local_resources',
  ENOMEM: 'local_resources',
  ENOTFOUND: 'dns',
  ETIMEOUT: 'dns',
  EPROTO: 'tls',
  CERT_HAS_EXPIRED: 'tls',
  CERT_NOT_YET_VALID: 'tls',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'tls',
  SELF_SIGNED_CERT_IN_CHAIN: 'tls',
  ECONNRESET: 'reset',
  ECONNABORTED: 'reset',
  EPIPE: 'reset',
  UND_ERR_SOCKET: 'reset',
  UND_ERR_INFO: 'reset',
  ERR_HTTP2_INVALID_SESSION: 'reset',
  ERR_HTTP2_STREAM_ERROR: 'reset',
  ERR_HTTP2_GOAWAY_SESSION: 'reset',
  ERR_HTTP2_SESSION_ERROR: 'reset',
};

const UNKNOWN_AUTHORITY =
  'The certificate of the sink comes from an authority that is not trusted here, or the sink does not send the certificates between; an operator can name an authority in POSTHASTE_SINK_CA_FILE.';
const NOT_TLS = 'What answers there does not speak TLS; is it the port of plain HTTP?';
const CERTIFICATE_WANTED =
  'The sink wants a client certificate, and none was sent; give one as its sinkcredential (CLIENTCERTIFICATE).';
const CERTIFICATE_REFUSED = 'The sink does not take the client certificate';
const SELF_SIGNED =
  'The certificate of the sink is self-signed; an operator can trust it by POSTHASTE_SINK_CA_FILE, a public authority makes that unnecessary.';

/** What the owner of a sink can do about it, where the library's own words do not say it. */
const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'Nothing listens there (connection refused).',
  UND_ERR_CONNECT_TIMEOUT: 'No connection came up in time; is there a firewall that drops packets?',
  ENOTFOUND: 'The name does not exist in DNS.',
  ENODATA: 'The name exists in DNS but has no address.',
  EAI_AGAIN: 'The name server does not answer.',
  ETIMEOUT: 'The name server does not answer.',
  ESERVFAIL: 'The name server failed; is the zone broken (DNSSEC)?',
  CERT_HAS_EXPIRED: 'The certificate of the sink has expired.',
  CERT_NOT_YET_VALID: 'The certificate of the sink is not valid yet.',
  DEPTH_ZERO_SELF_SIGNED_CERT: SELF_SIGNED,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  CERT_SIGNATURE_FAILURE: UNKNOWN_AUTHORITY,
  ERR_TLS_CERT_ALTNAME_INVALID: 'The certificate of the sink is for another name.',
  ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'The sink does not speak TLS 1.2 or newer.',
  ERR_SSL_UNSUPPORTED_PROTOCOL: 'The sink does not speak TLS 1.2 or newer.',
  ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL:
    'The sink does not speak HTTP/1.1; an operator can permit HTTP/2 with POSTHASTE_SINK_HTTP2.',
  'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE':
    'The sink shares no cipher or key exchange with us, or wants a client certificate.',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: CERTIFICATE_WANTED,
  ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: `${CERTIFICATE_REFUSED}: it does not know the authority that it comes from.`,
  'ERR_SSL_SSL/TLS_ALERT_BAD_CERTIFICATE': `${CERTIFICATE_REFUSED}, or wants one and got none.`,
  'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_EXPIRED': `${CERTIFICATE_REFUSED}: it has expired.`,
  'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_REVOKED': `${CERTIFICATE_REFUSED}: it was revoked.`,
  'ERR_SSL_SSL/TLS_ALERT_UNSUPPORTED_CERTIFICATE': `${CERTIFICATE_REFUSED}: it is not meant for clients.`,
  'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN': `${CERTIFICATE_REFUSED}.`,
  ERR_SSL_TLSV1_ALERT_ACCESS_DENIED: `${CERTIFICATE_REFUSED}: it is good, but may not do this.`,
  ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR: 'The sink could not verify the handshake; is something between that changes it?',
  ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR: 'The sink failed during the handshake.',
  ERR_SSL_WRONG_VERSION_NUMBER: NOT_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NOT_TLS,
  ECONNRESET: 'The connection was closed by the sink or something between before an answer came.',
  UND_ERR_SOCKET: 'The connection was closed by the sink or something between before an answer came.',
  UND_ERR_HEADERS_OVERFLOW: 'The headers of the answer are too large.',
  EMFILE: 'This process has no file descriptors left; raise its limit (ulimit -n).',
};

/** undici ends the connection for these and says no more. */
const UNASKED: Readonly<Record<string, string>> = {
  'bad response': 'The sink sent 100 (Continue), which nobody had asked for.',
  'bad upgrade': 'The sink wants to change the protocol, which nobody had asked for.',
};

/** What ended an exchange without a status: the stable code, and one short sentence for whoever looks it up. */
export function toExchangeError(error: unknown): Extract<Exchange, { kind: 'error' }> {
  const { code, message } = describe(error);
  const unasked = code === 'UND_ERR_SOCKET' ? UNASKED[(error as Error).message] : undefined;
  if (unasked !== undefined) return { kind: 'error', error: 'protocol', message: unasked };
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
  const advice = ADVICE[knownCode];
  // OpenSSL's own words are long and start with the address of a thread.
  const detail = /:error:[0-9A-F]{8}:/.test(firstLine) ? knownCode : firstLine;
  return {
    code: knownCode,
    message: (advice === undefined ? detail : `${advice} (${detail})`).slice(0, MESSAGE_MAX_CHARS),
  };
}
