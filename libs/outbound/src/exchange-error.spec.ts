import { describe, expect, test } from '@jest/globals';
import { toExchangeError } from './exchange-error.ts';

function anError(code: string, message = 'what happened'): Error {
  return Object.assign(new Error(message), { code });
}

describe('toExchangeError', () => {
  test.each([
    ['ENOTFOUND', 'dns'],
    ['EAI_AGAIN', 'dns'],
    ['outbound.address_refused', 'address_refused'],
    ['ECONNREFUSED', 'connect_refused'],
    ['UND_ERR_CONNECT_TIMEOUT', 'connect_timeout'],
    ['ETIMEDOUT', 'connect_timeout'],
    ['EHOSTUNREACH', 'connect_failed'],
    ['CERT_HAS_EXPIRED', 'tls'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'tls'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'tls'],
    ['ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', 'tls'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'tls'],
    ['ECONNRESET', 'reset'],
    ['UND_ERR_SOCKET', 'reset'],
    ['EADDRNOTAVAIL', 'local_resources'],
    ['EMFILE', 'local_resources'],
    ['outbound.proxy_failure', 'proxy'],
    ['HPE_INVALID_CONSTANT', 'protocol'],
    ['UND_ERR_HEADERS_OVERFLOW', 'protocol'],
    ['', 'protocol'],
  ])('calls %s %s', (code, error) => {
    expect(toExchangeError(anError(code))).toEqual({
      kind: 'error',
      error,
      message: expect.stringMatching(/^(?:what happened|.+\. \(what happened\)|.+\? \(what happened\))$/),
    });
  });

  test('says what can be done about it where the library does not', () => {
    const openSsl = '80BB:error:0A00042E:SSL routines:ssl3_read_bytes:tlsv1 alert protocol version:../rec.c:918:';
    expect(toExchangeError(anError('ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION', openSsl)).message).toBe(
      'The sink does not speak TLS 1.2 or newer. (ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION)',
    );
    expect(toExchangeError(anError('UND_ERR_SOCKET', 'bad response'))).toEqual({
      kind: 'error',
      error: 'protocol',
      message: 'The sink sent 100 (Continue), which nobody had asked for.',
    });
  });

  test('keeps the message to one short line', () => {
    expect(toExchangeError(anError('X', `${'a'.repeat(1000)}\nsecond`)).message).toHaveLength(300);
    expect(toExchangeError(anError('EPIPE', 'first\nsecond')).message).toBe('first');
    expect(toExchangeError(anError('ENOTFOUND', '')).message).toBe('The name does not exist in DNS. (ENOTFOUND)');
    expect(toExchangeError('odd').message).toBe('odd');
  });
});
