import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { makeAddressGuard } from './address-guard.ts';
import { makeSinkUrlCheck } from './sink-url.ts';

const guard = makeAddressGuard({ allowCidrs: [] });
const check = makeSinkUrlCheck({
  allowHttp: false,
  guard,
  allowOrigins: ['http://127.0.0.1:8080/inbox', 'https://[::1]:9443'],
});

describe('makeSinkUrlCheck', () => {
  test.each([
    'https://127.0.0.1/x',
    'https://127.1/x',
    'https://2130706433/x',
    'https://0x7f000001/x',
    'https://0x7f.1/x',
    'https://0177.0.0.1/x',
    'https://017700000001/x',
    'https://%31%32%37.0.0.1/x',
    'https://１２７.0.0.1/x',
    'https://0/x',
    'https://169.254.169.254/latest/meta-data/',
    'https://0xA9FEA9FE/',
    'https://[::1]/x',
    'https://[::ffff:127.0.0.1]/x',
    'https://[0:0:0:0:0:ffff:7f00:1]/x',
    'https://[64:ff9b::7f00:1]/x',
    'https://[fd00:ec2::254]/x',
    'https://10.0.0.1.:443/x',
  ])('refuses the address in %s before anything is resolved', (url) => {
    expect(check(url)).toMatchObject({ ok: false, error: 'address_refused' });
  });

  test.each([
    ['http://example.com/', 'https://'],
    ['ftp://example.com/', 'https://'],
    ['file:///etc/passwd', 'https://'],
    ['javascript:alert(1)', 'https://'],
    ['https://user@example.com/', 'user or password'],
    ['https://user:secret@example.com/', 'user or password'],
    ['https://:secret@example.com/', 'user or password'],
    ['/hook', 'absolute URL'],
    ['https://', 'absolute URL'],
    ['https://256.256.256.256/', 'absolute URL'],
    ['', 'absolute URL'],
  ])('refuses %s and says why (D2)', (url, why) => {
    const checked = check(url);
    expect(checked).toMatchObject({ ok: false, error: 'scheme_refused', message: expect.stringContaining(why) });
    expect(JSON.stringify(checked)).not.toContain('secret@');
  });

  test('splits what is good into origin and path, without the fragment', () => {
    expect(check('https://Example.COM:443/a b?c=d#e')).toEqual({
      ok: true,
      origin: 'https://example.com',
      path: '/a%20b?c=d',
      exempt: false,
    });
  });

  test('permits http:// where it is configured, but no inner address with it', () => {
    const lenient = makeSinkUrlCheck({ allowHttp: true, guard, allowOrigins: [] });
    expect(lenient('http://example.com/').ok).toBe(true);
    expect(lenient('http://127.0.0.1/').ok).toBe(false);
  });

  test.each([
    ['http://127.0.0.1:8080/inbox', true],
    ['http://127.0.0.1:8080/inbox/demo?x=1', true],
    ['https://[::1]:9443/any/path', true],
    ['http://127.0.0.1:8080/inboxes', false],
    ['http://127.0.0.1:8080/v1/subscriptions', false],
    ['http://127.0.0.1:8080/inbox/../v1/subscriptions', false],
    ['http://127.0.0.1:8080/inbox/%2e%2e/v1/subscriptions', false],
    ['http://127.0.0.1:8081/inbox/demo', false],
    ['https://127.0.0.1:8080/inbox/demo', false],
    ['http://localhost:8080/inbox/demo', false],
    ['http://user@127.0.0.1:8080/inbox/demo', false],
  ])('exempts the built-in inbox and nothing beside it: %s', (url, exempt) => {
    expect(check(url)).toMatchObject(exempt ? { ok: true, exempt: true } : { ok: false });
  });

  test('judges every way of writing an IPv4 address like its dotted form', () => {
    const lenient = makeSinkUrlCheck({ allowHttp: false, guard, allowOrigins: [] });
    const inside = fc.constantFrom([127, 0, 0, 1], [10, 1, 2, 3], [169, 254, 169, 254], [192, 168, 0, 1], [0, 0, 0, 0]);
    const octets = fc.oneof(inside, fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }));
    const spellings = fc.array(fc.constantFrom('decimal', 'octal', 'hex', 'HEX', 'padded'), {
      minLength: 4,
      maxLength: 4,
    });
    fc.assert(
      fc.property(octets, fc.integer({ min: 1, max: 4 }), spellings, fc.boolean(), (bytes, partCount, how, dot) => {
        const parts = [
          ...bytes.slice(0, partCount - 1),
          bytes.slice(partCount - 1).reduce((n, byte) => n * 256 + byte, 0),
        ];
        const host = parts.map((part, i) => spell(part, how[i])).join('.');
        expect(lenient(`https://${host}${dot ? '.' : ''}/x`)).toEqual(lenient(`https://${bytes.join('.')}/x`));
      }),
    );
  });
});

function spell(value: number, how = 'decimal'): string {
  if (how === 'octal') return `0${value.toString(8)}`;
  if (how === 'padded') return `000${value.toString(8)}`;
  if (how === 'hex') return `0x${value.toString(16)}`;
  return how === 'HEX' ? `0X00${value.toString(16).toUpperCase()}` : String(value);
}
