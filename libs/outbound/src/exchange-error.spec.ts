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
    ['HPE_INVALID_CONSTANT', 'protocol'],
    ['UND_ERR_HEADERS_OVERFLOW', 'protocol'],
    ['', 'protocol'],
  ])('calls %s %s', (code, error) => {
    expect(toExchangeError(anError(code))).toEqual({ kind: 'error', error, message: 'what happened' });
  });

  test('keeps the message to one short line', () => {
    expect(toExchangeError(anError('X', `${'a'.repeat(1000)}\nsecond`)).message).toHaveLength(300);
    expect(toExchangeError(anError('EPIPE', 'first\nsecond')).message).toBe('first');
    expect(toExchangeError(anError('ENOTFOUND', '')).message).toBe('ENOTFOUND');
    expect(toExchangeError('odd').message).toBe('odd');
  });
});
