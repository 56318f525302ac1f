import fc from 'fast-check'
import { expect, it } from 'vitest'
import { parseUserName, parseUserPrincipal, userName } from '../../../src/kernel/user-name.ts'

const slugs = fc.stringMatching(/^[a-z0-9-]{1,32}$/)

it('a user is read back from what they are written as, whatever their sub holds', () => {
  fc.assert(
    fc.property(slugs, fc.string({ minLength: 1, unit: 'binary' }), (issuerSlug, sub) => {
      const written = userName({ issuerSlug, sub })
      expect(parseUserName(written)).toEqual({ issuerSlug, sub })
      expect(parseUserPrincipal(`user:${written}`)).toEqual({ issuerSlug, sub })
    }),
  )
})

it.each([
  '',
  'alice',
  'corp:',
  ':alice',
  'Corp:alice',
  'corp alice',
  `${'a'.repeat(33)}:alice`,
])('%j names no user', (text) => {
  expect(parseUserName(text)).toBeUndefined()
  expect(parseUserPrincipal(`user:${text}`)).toBeUndefined()
})

it.each([
  'agent:corp:alice',
  'corp:alice',
  'User:corp:alice',
  'user',
  'operator:corp:alice',
])('%j is no user as a principal', (text) => {
  expect(parseUserPrincipal(text)).toBeUndefined()
})
