import { describe, expect, it } from 'vitest'
import { epochSeconds, systemClock } from '../../../src/kernel/clock.ts'
import { sha256 } from '../../../src/kernel/digest.ts'
import {
  agentPrincipal,
  type ClientId,
  newDecisionId,
  newJti,
  newNodeId,
  newNonce,
  newSessionId,
  operatorPrincipal,
  servicePrincipal,
  userPrincipal,
} from '../../../src/kernel/ids.ts'

const makers = { ses: newSessionId, nod: newNodeId, jti: newJti, dec: newDecisionId, req: newNonce }

describe('ids', () => {
  it.each(Object.entries(makers))('%s_ carries 128 random bits after its kind', (prefix, make) => {
    const ids = Array.from({ length: 2_000 }, make)
    expect(new Set(ids).size).toBe(ids.length)
    for (const id of ids) {
      expect(id.startsWith(`${prefix}_`)).toBe(true)
      // Parts of store keys and of URLs: nothing that means something there.
      expect(id).toMatch(/^[a-z]{3}_[A-Za-z0-9_-]{22}$/)
      expect(Buffer.from(id.slice(4), 'base64url')).toHaveLength(16)
    }
    // Every bit takes both values: no part of it is a counter or a clock.
    const bytes = ids.map((id) => Buffer.from(id.slice(4), 'base64url'))
    for (let bit = 0; bit < 128; bit += 1) {
      const set = bytes.filter((id) => ((id[bit >> 3] ?? 0) >> (bit & 7)) & 1).length
      expect(Math.abs(set - 1_000)).toBeLessThan(200)
    }
  })
})

describe('principals (RFC 9700 section 4.15)', () => {
  it('of different kinds never coincide, whatever they are called', () => {
    const name = 'corp:alice' as ClientId
    const all = [
      userPrincipal('corp', 'alice'),
      userPrincipal('agent', 'alice'),
      agentPrincipal(name),
      servicePrincipal(name),
      operatorPrincipal(name),
      agentPrincipal('alice' as ClientId),
    ]
    expect(new Set(all).size).toBe(all.length)
    expect(all.map((principal) => principal.split(':', 1)[0])).toEqual([
      'user',
      'user',
      'agent',
      'service',
      'operator',
      'agent',
    ])
  })

  it('of users keep a sub with colons apart from a longer slug: a slug has none', () => {
    expect(userPrincipal('corp', 'a:b')).toBe('user:corp:a:b')
    expect(userPrincipal('corp', 'user:corp:a')).not.toBe(userPrincipal('corp', 'a'))
  })
})

describe('digest and clock', () => {
  it('is SHA-256 as unpadded base64url (FIPS 180-4, RFC 4648 section 5)', () => {
    expect(sha256('abc')).toBe('ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0')
    expect(sha256(new TextEncoder().encode('abc'))).toBe(sha256('abc'))
    expect(sha256('')).toBe('47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
  })

  it('counts whole seconds, rounded down: a token never seems issued in the future', () => {
    expect([1_999, 2_000, 2_001].map((nowMs) => epochSeconds({ nowMs: () => nowMs }))).toEqual([1, 2, 2])
    const [before, now, after] = [Date.now(), systemClock.nowMs(), Date.now()]
    expect(now >= before && now <= after).toBe(true)
  })
})
