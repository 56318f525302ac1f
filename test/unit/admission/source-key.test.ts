import { expect, test } from 'vitest'
import { sourceKey } from '../../../src/admission/source-key.ts'
import { NAME_CHARS_MAX } from '../../../src/kernel/limits.ts'

test('an IPv4 address is itself, and so is what is no address', () => {
  expect(sourceKey('203.0.113.9')).toBe('203.0.113.9')
  expect(sourceKey('unknown')).toBe('unknown')
  expect(sourceKey('a:b:not-an-address')).toBe('a:b:not-an-address')
  expect(sourceKey('x'.repeat(5_000))).toHaveLength(NAME_CHARS_MAX)
})

test('IPv6 addresses of one /64 are one source, however they are written', () => {
  const same = [
    '2001:db8:1:2::1',
    '2001:DB8:1:2:ffff:ffff:ffff:ffff',
    '2001:0db8:0001:0002::',
    '2001:db8:1:2:0:0:198.51.100.7',
    '2001:db8:1:2::9%eth0',
  ]
  expect(same.map(sourceKey)).toEqual(same.map(() => '2001:db8:1:2::/64'))
  expect(sourceKey('2001:db8:1:3::1')).toBe('2001:db8:1:3::/64')
})

test('a gap stands for zeros wherever it is', () => {
  expect(sourceKey('::1')).toBe('0:0:0:0::/64')
  expect(sourceKey('::')).toBe('0:0:0:0::/64')
  expect(sourceKey('2001:db8::1')).toBe('2001:db8:0:0::/64')
  expect(sourceKey('1::2:3:4:5:6:7')).toBe('1:0:2:3::/64')
  expect(sourceKey('::ffff:10.0.0.1')).toBe('0:0:0:0::/64')
})
