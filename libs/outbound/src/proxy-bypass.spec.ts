import { describe, expect, test } from '@jest/globals';
import { makeProxyBypass } from './proxy-bypass.ts';

describe('makeProxyBypass', () => {
  test.each<[string, string, number, string[], boolean]>([
    ['example.com', 'example.com', 443, [], true],
    ['example.com', 'Hooks.EXAMPLE.com.', 443, [], true],
    ['example.com', 'notexample.com', 443, [], false],
    ['example.com', 'example.com.evil.net', 443, [], false],
    ['.example.com', 'hooks.example.com', 443, [], true],
    ['*.example.com', 'hooks.example.com', 443, [], true],
    ['EXAMPLE.com:8443', 'example.com', 8443, [], true],
    ['example.com:8443', 'example.com', 443, [], false],
    ['*', 'anything.example', 443, [], true],
    ['*:8443', 'anything.example', 443, [], false],
    ['10.0.0.0/8', 'inner.example', 443, ['10.1.2.3'], true],
    ['10.0.0.0/8', 'inner.example', 443, ['11.1.2.3'], false],
    ['10.0.0.0/8', 'inner.example', 443, [], false],
    ['10.1.2.3', '10.1.2.3', 443, ['10.1.2.3'], true],
    ['10.1.2.3:8443', '10.1.2.3', 8443, ['10.1.2.3'], true],
    ['10.1.2.3:8443', '10.1.2.3', 443, ['10.1.2.3'], false],
    ['fd00::/8', 'inner.example', 443, ['fd12::1'], true],
    ['::1', '::1', 443, ['0:0:0:0:0:0:0:1'], true],
    ['[fd00::1]:8443', 'fd00::1', 8443, ['fd00::1'], true],
    ['.', 'example.com', 443, [], false],
  ])('%s and %s:%d at %j: %j', (rule, host, port, addresses, expected) => {
    expect(makeProxyBypass(['other.example', rule])(host, port, addresses)).toBe(expected);
  });

  test('of nothing is nothing', () => {
    expect(makeProxyBypass([])('example.com', 443, ['10.0.0.1'])).toBe(false);
  });
});
