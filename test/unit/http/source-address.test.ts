import { describe, expect, it } from 'vitest'
import { sourceReader } from '../../../src/http/source-address.ts'

describe('where a request came from', () => {
  it('is the socket’s peer, whatever headers say, unless proxies are configured', () => {
    const sourceOf = sourceReader([])
    expect(sourceOf('203.0.113.9', undefined)).toBe('203.0.113.9')
    expect(sourceOf('203.0.113.9', '1.1.1.1')).toBe('203.0.113.9')
    expect(sourceOf('::ffff:203.0.113.9', undefined)).toBe('203.0.113.9')
    expect(sourceOf('unknown', '1.1.1.1')).toBe('unknown')
  })

  it('is what the nearest trusted proxy wrote, not what the client had written before', () => {
    const sourceOf = sourceReader(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'])
    expect(sourceOf('10.1.2.3', '203.0.113.9')).toBe('203.0.113.9')
    expect(sourceOf('10.1.2.3', '1.1.1.1, 203.0.113.9')).toBe('203.0.113.9')
    expect(sourceOf('10.1.2.3', '1.1.1.1, 203.0.113.9, 192.0.2.7')).toBe('203.0.113.9')
    expect(sourceOf('::ffff:10.1.2.3', '::ffff:203.0.113.9')).toBe('203.0.113.9')
    expect(sourceOf('2001:db8::1', '2001:db9::5')).toBe('2001:db9::5')
    expect(sourceOf('203.0.113.9', '1.1.1.1')).toBe('203.0.113.9')
    expect(sourceOf('192.0.2.8', '1.1.1.1')).toBe('192.0.2.8')
  })

  it('stops at anything that is no address: a made-up name is never a source', () => {
    const sourceOf = sourceReader(['10.0.0.0/8'])
    for (const junk of ['', 'unknown', '1.1.1.1, evil\nline', '10.0.0.5, x', '_hidden', '1.1.1.1:80']) {
      expect(sourceOf('10.1.2.3', junk)).toBe('10.1.2.3')
    }
    expect(sourceOf('10.1.2.3', '10.0.0.1,10.0.0.2')).toBe('10.0.0.1')
  })
})
