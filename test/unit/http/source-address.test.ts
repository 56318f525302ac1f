import { expect, test } from 'vitest'
import { sourceReader } from '../../../src/http/source-address.ts'

const direct = sourceReader([])
const behindProxies = sourceReader(['10.0.0.0/8', '2001:db8::1'])

test('without configured proxies the source is the peer, whatever a header says', () => {
  expect(direct('198.51.100.7', '203.0.113.9')).toBe('198.51.100.7')
  expect(direct('10.1.2.3', '203.0.113.9')).toBe('10.1.2.3')
})

test('a stranger cannot claim an address: its header is not read', () => {
  expect(behindProxies('198.51.100.7', '203.0.113.9')).toBe('198.51.100.7')
})

test('behind proxies the nearest untrusted address counts, not what the client wrote to its left', () => {
  expect(behindProxies('10.1.2.3', '203.0.113.9')).toBe('203.0.113.9')
  expect(behindProxies('10.1.2.3', '1.2.3.4, 203.0.113.9, 10.9.9.9')).toBe('203.0.113.9')
  expect(behindProxies('2001:db8::1', '203.0.113.9')).toBe('203.0.113.9')
})

test('what is no address ends the search at the last one believed', () => {
  expect(behindProxies('10.1.2.3', 'unknown')).toBe('10.1.2.3')
  expect(behindProxies('10.1.2.3', '203.0.113.9, "><script>')).toBe('10.1.2.3')
})

test('an IPv4 peer of a dual-stack socket is the same source', () => {
  expect(direct('::ffff:198.51.100.7', undefined)).toBe('198.51.100.7')
  expect(behindProxies('::ffff:10.1.2.3', '203.0.113.9')).toBe('203.0.113.9')
})
