import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SCOPE_CHARS_MAX, SCOPE_MEMBERS_MAX } from '../../../src/kernel/limits.ts'
import {
  formatScope,
  intersectScopes,
  isScopeSubset,
  isScopeToken,
  parseScope,
  scopeSet,
} from '../../../src/protocol/scope.ts'
import { refusalOf } from '../authority/refusal.ts'

const token = fc.stringMatching(/^[\x21\x23-\x5b\x5d-\x7e]{1,12}$/)
const set = fc.array(token, { maxLength: 8 }).map(scopeSet)

describe('a scope (RFC 6749 section 3.3)', () => {
  it('is a set: sorted, each member once, compared literally', () => {
    expect(parseScope('b a b A')).toEqual(['A', 'a', 'b'])
    expect(parseScope('mcp:tools:* *')).toEqual(['*', 'mcp:tools:*'])
    expect(formatScope(parseScope('b a'))).toBe('a b')
  })

  it.each([
    '',
    ' ',
    ' a',
    'a ',
    'a  b',
    'a\tb',
    'a\nb',
    'a\0',
    '"a"',
    'a\\b',
    'é',
    'a\u00a0b',
    'a\u2028b',
    '\x7f',
  ])('is refused when written as %j', (text) => {
    expect(refusalOf(() => parseScope(text)).reason).toBe('scope_malformed')
  })

  it('is bounded in members and characters', () => {
    const members = (count: number) => Array.from({ length: count }, (_, index) => `s${index}`).join(' ')
    expect(parseScope(members(SCOPE_MEMBERS_MAX))).toHaveLength(SCOPE_MEMBERS_MAX)
    expect(refusalOf(() => parseScope(members(SCOPE_MEMBERS_MAX + 1))).reason).toBe('scope_malformed')
    expect(parseScope('x'.repeat(SCOPE_CHARS_MAX))).toHaveLength(1)
    expect(refusalOf(() => parseScope('x'.repeat(SCOPE_CHARS_MAX + 1))).reason).toBe('scope_malformed')
  })

  it('allows every character of the RFC and no other', () => {
    for (let code = 0; code < 0x100; code += 1) {
      const allowed = code > 0x20 && code < 0x7f && code !== 0x22 && code !== 0x5c
      expect([code, isScopeToken(String.fromCharCode(code))]).toEqual([code, allowed])
    }
    expect(isScopeToken('')).toBe(false)
  })

  it('survives being written and read', () => {
    fc.assert(
      fc.property(set, (scopes) => {
        if (scopes.length > 0) expect(parseScope(formatScope(scopes))).toEqual(scopes)
      }),
    )
  })

  it('is intersected to the greatest set within both', () => {
    fc.assert(
      fc.property(set, set, (a, b) => {
        const both = intersectScopes(a, b)
        expect(isScopeSubset(both, a) && isScopeSubset(both, b)).toBe(true)
        expect(both).toEqual(intersectScopes(b, a))
        expect(a.filter((member) => b.includes(member) && !both.includes(member))).toEqual([])
      }),
    )
  })

  it('is within another only when each member is', () => {
    expect(isScopeSubset([], [])).toBe(true)
    expect(isScopeSubset(['a'], ['a', 'b'])).toBe(true)
    expect(isScopeSubset(['a:b'], ['a', 'a:*', '*'])).toBe(false)
    expect(isScopeSubset(['a', 'c'], ['a', 'b'])).toBe(false)
  })
})
