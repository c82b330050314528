import { BlockList } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { InvalidCidr, makeAddressGuard } from './address-guard.ts';
import { parseCidr, parseIp } from '#platform/ip-address';

const guard = makeAddressGuard({ allowCidrs: [] });

describe('makeAddressGuard', () => {
  test.each([
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['10.0.0.1', 'private'],
    ['10.255.255.255', 'private'],
    ['100.64.0.1', 'carrier-grade'],
    ['100.100.100.200', 'carrier-grade'], // Alibaba metadata
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['168.63.129.16', 'cloud platform'],
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'], // ECS credentials
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.0.0.192', 'protocol'], // Oracle metadata
    ['192.0.2.1', 'documentation'],
    ['192.88.99.1', '6to4'],
    ['192.168.1.1', 'private'],
    ['198.18.0.1', 'benchmarking'],
    ['198.19.255.255', 'benchmarking'],
    ['198.51.100.1', 'documentation'],
    ['203.0.113.1', 'documentation'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.255', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'reserved'],
    ['::', 'unspecified'],
    ['::1', 'loopback'],
    ['::7f00:1', 'global unicast'], // IPv4-compatible
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['0:0:0:0:0:ffff:a9fe:a9fe', 'metadata'],
    ['::ffff:0:127.0.0.1', 'global unicast'], // IPv4-translated
    ['64:ff9b::7f00:1', 'loopback'],
    ['64:ff9b::169.254.169.254', 'metadata'],
    ['64:ff9b:1::8.8.8.8', 'NAT64'],
    ['100::1', 'discard'],
    ['2001::1', 'Teredo'],
    ['2001:0:4136:e378:8000:63bf:3fff:fdd2', 'Teredo'],
    ['2001:db8::1', 'documentation'],
    ['2002:7f00:1::', '6to4'],
    ['2002:808:808::', '6to4'],
    ['3fff::1', 'documentation'],
    ['4000::1', 'global unicast'],
    ['5f00::1', 'global unicast'],
    ['fc00::1', 'unique local'],
    ['fd00:ec2::254', 'unique local'], // AWS metadata
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['fec0::1', 'site-local'],
    ['ff02::1', 'multicast'],
    ['localhost', 'not an IP'],
    ['', 'not an IP'],
  ])('refuses %s: %s', (address, why) => {
    expect(guard(address)).toContain(why);
  });

  test.each([
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '168.63.129.17',
    '172.15.255.255',
    '172.32.0.0',
    '192.0.1.1',
    '192.167.255.255',
    '223.255.255.255',
    '2606:4700::1111',
    '2a00:1450:4001::200e',
    '2001:200::1',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808', // DNS64 makes these of every IPv4-only sink
  ])('lets %s through', (address) => {
    expect(guard(address)).toBeUndefined();
  });

  test('exempts the ranges of the operator, also as they hide in IPv6, and nothing beside them', () => {
    const exempting = makeAddressGuard({ allowCidrs: ['10.1.0.0/16', '127.0.0.1', 'fd12::/16'] });
    for (const allowed of ['10.1.2.3', '::ffff:10.1.2.3', '127.0.0.1', 'fd12::1', '8.8.8.8']) {
      expect(exempting(allowed)).toBeUndefined();
    }
    for (const refused of ['10.2.0.1', '127.0.0.2', 'fd13::1', '::1']) expect(exempting(refused)).toBeDefined();
  });

  test('judges IPv6 that reaches an IPv4 address (mapped, NAT64) by that address, in every spelling', () => {
    const prefixes = fc.constantFrom('::ffff:', '0:0:0:0:0:FFFF:', '64:ff9b::', '0064:FF9B:0:0:0:0:');
    fc.assert(
      fc.property(fc.ipV4(), prefixes, fc.boolean(), (v4, prefix, dotted) => {
        const [a = 0, b = 0, c = 0, d = 0] = v4.split('.').map(Number);
        const tail = dotted ? v4 : `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
        expect(guard(prefix + tail)).toBe(guard(v4));
      }),
    );
  });

  test('names every range that it can not read', () => {
    expect(() => makeAddressGuard({ allowCidrs: ['10.0.0.0/33', '10.0.0.0/8', 'home'] })).toThrow(InvalidCidr);
    expect(() => makeAddressGuard({ allowCidrs: ['10.0.0.0/33', '10.0.0.0/8', 'home'] })).toThrow('10.0.0.0/33, home');
  });
});

describe('the ranges', () => {
  test('agree with Node for IPv4 and IPv6 of every prefix', () => {
    const v4 = fc.tuple(fc.ipV4(), fc.ipV4(), fc.integer({ min: 0, max: 32 }), fc.constant('ipv4' as const));
    const v6 = fc.tuple(fc.ipV6(), fc.ipV6(), fc.integer({ min: 0, max: 128 }), fc.constant('ipv6' as const));
    fc.assert(
      fc.property(fc.oneof(v4, v6), fc.boolean(), ([base, other, prefixBits, family], near) => {
        const address = near ? base : other;
        fc.pre(!/^::ffff:/i.test(`${base} ${address}`)); // Node matches these against IPv4 rules as well
        const peer = new BlockList();
        peer.addSubnet(base, prefixBits, family);
        const exempting = makeAddressGuard({ allowCidrs: [`${base}/${prefixBits}`] });
        if (guard(address) !== undefined) {
          expect(exempting(address) === undefined).toBe(peer.check(address, family));
        }
      }),
    );
  });

  test.each([
    '1.2.3',
    '1.2.3.4.5',
    '01.2.3.4',
    '256.1.1.1',
    '1:2',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7:8:9',
    'g::',
    '1.2.3.4::',
  ])('do not take "%s" for an address', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test.each(['10.0.0.0/', '10.0.0.0/8/8', '10.0.0.0/-1', '::/129', 'fe80::%1/10'])(
    'do not take "%s" for a range',
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );
});
