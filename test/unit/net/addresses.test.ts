import { describe, expect, it } from 'vitest'
import { isLoopback, isPrivate, isPublic, literalAddress } from '../../../src/net/addresses.ts'

const at = (address: string) => {
  const found = literalAddress(address)
  if (found === undefined) throw new Error(`${address} is not an address`)
  return found
}

describe('special-use addresses (RFC 6890)', () => {
  it.each([
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '100.127.255.255',
    '127.0.0.1',
    '127.255.255.254',
    '168.63.129.16',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.0.0.1',
    '192.0.2.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.19.255.255',
    '198.51.100.7',
    '203.0.113.9',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:127.0.0.1',
    '::ffff:8.8.8.8',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
    '2001::1',
    '2001:db8::1',
    '2002:7f00:1::1',
    '3fff::1',
    'fc00::1',
    'fd00:ec2::254',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    '[::1]',
  ])('%s is not public', (address) => expect(isPublic(at(address))).toBe(false))

  it.each([
    '8.8.8.8',
    '1.1.1.1',
    '172.15.255.255',
    '172.32.0.1',
    '100.63.255.255',
    '100.128.0.0',
    '192.0.1.1',
    '2606:4700::1111',
    '[2a00:1450:4001::1]',
  ])('%s is public', (address) => expect(isPublic(at(address))).toBe(true))

  it('treats a zoned or nonsensical address as not public', () => {
    expect(isPublic({ address: '2606:4700::1111%eth0', family: 6 })).toBe(false)
    expect(isPublic({ address: 'example.com', family: 4 })).toBe(false)
    expect(isPublic({ address: '8.8.8.8', family: 6 })).toBe(false)
    expect(isPublic({ address: '', family: 4 })).toBe(false)
  })

  it.each([
    '10.0.0.1',
    '100.64.0.1',
    '172.31.255.255',
    '192.168.1.1',
    'fc00::1',
    'fd12:3456::1',
  ])('%s is a private network, not public', (address) =>
    expect([isPrivate(at(address)), isPublic(at(address))]).toEqual([true, false]))

  it.each([
    '127.0.0.1',
    '169.254.169.254',
    '168.63.129.16',
    '100.100.100.200',
    '192.0.0.192',
    '0.0.0.0',
    '224.0.0.1',
    '::1',
    '::ffff:10.0.0.1',
    '64:ff9b::a00:1',
    '2002:a00:1::1',
    'fe80::1',
    'fd00:ec2::254',
    'fd20:ce::254',
    '8.8.8.8',
    '2606:4700::1111',
  ])('%s is no private network that an operator may name: loopback, link-local, metadata, wrapped', (address) =>
    expect(isPrivate(at(address))).toBe(false))

  it('knows loopback by its ranges, and not by an IPv4 address wrapped into IPv6', () => {
    expect(isLoopback(at('127.0.0.1'))).toBe(true)
    expect(isLoopback(at('127.9.9.9'))).toBe(true)
    expect(isLoopback(at('[::1]'))).toBe(true)
    expect(isLoopback(at('::ffff:127.0.0.1'))).toBe(false)
    expect(isLoopback(at('128.0.0.1'))).toBe(false)
    expect(isLoopback({ address: '::1', family: 4 })).toBe(false)
  })

  it('finds literals in what the URL parser leaves, names elsewhere', () => {
    expect(literalAddress(new URL('http://2130706433/').hostname)).toEqual({ address: '127.0.0.1', family: 4 })
    expect(literalAddress(new URL('http://0x7f.1/').hostname)).toEqual({ address: '127.0.0.1', family: 4 })
    expect(literalAddress(new URL('http://[::ffff:127.0.0.1]/').hostname)?.family).toBe(6)
    expect(literalAddress('localhost.')).toBeUndefined()
    expect(literalAddress('idp.example')).toBeUndefined()
  })
})
