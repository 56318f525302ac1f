/** SPIFFE IDs (SPIFFE-ID §2): one spelling, which every URL parser reads the same way. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isTrustDomainName, parseSpiffeId, SPIFFE_ID_CHARS_MAX } from '../../src/protocol/spiffe-id.ts'

const letters = (alphabet: string, maxLength: number) =>
  fc.string({ unit: fc.constantFrom(...alphabet), minLength: 1, maxLength })
const trustDomain = letters('abcxyz0189._-', 40)
const segment = letters('abcXYZ0189._-', 20).filter((text) => text !== '.' && text !== '..')
const workload = fc.tuple(trustDomain, fc.array(segment, { maxLength: 6 }))
const written = ([domain, segments]: readonly [string, readonly string[]]) =>
  `spiffe://${domain}${segments.map((one) => `/${one}`).join('')}`

describe('a SPIFFE ID', () => {
  test('is read as its trust domain and path, and is itself again', () => {
    fc.assert(
      fc.property(workload, (parts) => {
        const [trustDomain, segments] = parts
        const path = segments.map((one) => `/${one}`).join('')
        expect(parseSpiffeId(written(parts))).toEqual({ id: written(parts), trustDomain, path })
        expect(isTrustDomainName(trustDomain)).toBe(true)
      }),
    )
  })

  test('with any character put in that the grammar does not know, is none', () => {
    const foreign = fc.constantFrom(...' %?#@:\\&=+,;*!~"\'<>[]{}|^`\t\n\r\0é‐／', '%2e', '%2F', '://')
    fc.assert(
      fc.property(workload, foreign, fc.nat(), (parts, character, at) => {
        const text = written(parts)
        const where = at % (text.length + 1)
        expect(parseSpiffeId(text.slice(0, where) + character + text.slice(where))).toBeUndefined()
      }),
    )
  })

  test('of any text, is exactly what a URL parser leaves alone', () => {
    const near = fc.string({ unit: fc.constantFrom(...'spife:/.aA-_%2@?#'), maxLength: 24 })
    fc.assert(
      fc.property(
        fc.oneof(
          near,
          near.map((text) => `spiffe://${text}`),
        ),
        (text) => {
          const parsed = parseSpiffeId(text)
          if (parsed === undefined) return
          const url = new URL(text)
          expect([url.href, url.host, url.pathname]).toEqual([text, parsed.trustDomain, parsed.path])
        },
      ),
      { numRuns: 2_000 },
    )
  })

  test.each([
    '',
    'spiffe://',
    'spiffe:///path',
    'spiffe:/example.org/x',
    'SPIFFE://example.org/x',
    'Spiffe://example.org/x',
    'spiffe://Example.org/x',
    'spiffe://example.org/',
    'spiffe://example.org//x',
    'spiffe://example.org/x/',
    'spiffe://example.org/x//y',
    'spiffe://example.org/.',
    'spiffe://example.org/..',
    'spiffe://example.org/x/../y',
    'spiffe://example.org/x/.',
    'spiffe://example.org:8443/x',
    'spiffe://user@example.org/x',
    'spiffe://example.org/x?y=z',
    'spiffe://example.org/x#y',
    'spiffe://example.org/%78',
    'spiffe://example.org/*',
    'spiffe://[::1]/x',
    ' spiffe://example.org/x',
    'spiffe://example.org/x ',
    'spiffe://example.org/x\n',
    'https://example.org/x',
    `spiffe://${'a'.repeat(256)}/x`,
    `spiffe://example.org/${'x'.repeat(SPIFFE_ID_CHARS_MAX)}`,
  ])('is not %j', (text) => {
    expect(parseSpiffeId(text)).toBeUndefined()
  })

  test('may have 2048 characters, and segments of dots', () => {
    const longest = `spiffe://example.org/${'x'.repeat(SPIFFE_ID_CHARS_MAX - 'spiffe://example.org/'.length)}`
    expect(parseSpiffeId(longest)?.id).toBe(longest)
    expect(parseSpiffeId('spiffe://example.org/...')?.path).toBe('/...')
  })
})
