import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalResource } from '../../../src/protocol/resource.ts'
import { refusalOf } from '../authority/refusal.ts'

const CANONICAL = 'https://mcp.example/a/B'

describe('the canonical form of a resource (RFC 8707 section 2)', () => {
  it.each([
    CANONICAL,
    'HTTPS://MCP.Example/a/B',
    'https://mcp.example:443/a/B',
    `${CANONICAL}/`,
  ])('is the same for %s', (text) => {
    expect(canonicalResource(text)).toBe(CANONICAL)
  })

  it('differs where the resource does', () => {
    const others = [
      'http://mcp.example/a/B',
      'https://mcp.example:444/a/B',
      'https://mcp.example/a/b',
      'https://mcp.example/a',
      'https://mcp.example/a/B//',
      'https://mcp.example//a/B',
      'https://mcp.example/a/B?x=1',
      'https://mcp.example/a/B?X=1',
      'https://mcp.example/a/%42',
      'https://mcp.example./a/B',
      'https://mcp.example.evil/a/B',
    ]
    const forms = others.map(canonicalResource)
    expect(new Set([...forms, CANONICAL]).size).toBe(others.length + 1)
  })

  it('takes the root with or without its slash, and a default port of http', () => {
    expect(canonicalResource('https://mcp.example')).toBe('https://mcp.example')
    expect(canonicalResource('https://mcp.example/')).toBe('https://mcp.example')
    expect(canonicalResource('http://127.0.0.1:80/mcp')).toBe('http://127.0.0.1/mcp')
    expect(canonicalResource('https://[2001:DB8::1]/mcp')).toBe('https://[2001:db8::1]/mcp')
    expect(canonicalResource('https://MÜNCHEN.example/mcp')).toBe(
      canonicalResource('https://xn--mnchen-3ya.example/mcp'),
    )
  })

  it.each([
    '',
    'mcp',
    '/mcp',
    'mcp.example/a',
    '//mcp.example/a',
    'https://',
    'https://mcp.example/#',
    'https://mcp.example/#top',
    'https://user@mcp.example/',
    'https://user:pw@mcp.example/',
    'https://:pw@mcp.example/',
    'https://mcp.example/a/../b',
    'https://mcp.example/a/./b',
    'https://mcp.example/..',
    'https://mcp.example/a/%2E%2e/b',
    'https://mcp.example/%2e',
    'https:\\\\mcp.example\\a',
    'https://mcp.example/a\\b',
    ' https://mcp.example/',
    'https://mcp.example/ ',
    'https://mcp.example/a b',
    'https://mcp.example/a\tb',
    'https://mcp.exa\nmple/',
    'https:mcp.example/a',
    'https:/mcp.example/a',
    'https:///mcp.example/a',
    'ftp://mcp.example/',
    'file:///etc/passwd',
    'urn:example:mcp',
    'javascript:alert(1)',
    'data:text/plain,x',
  ])('refuses %j', (text) => {
    expect(refusalOf(() => canonicalResource(text)).reason).toBe('resource_malformed')
  })

  it('is its own canonical form, and never has fragment, userinfo or white space', () => {
    const anything = fc.oneof(
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.string({ unit: 'binary' }),
    )
    fc.assert(
      fc.property(anything, (text) => {
        let canonical: string
        try {
          canonical = canonicalResource(text)
        } catch (error) {
          expect(error).toMatchObject({ reason: 'resource_malformed' })
          return
        }
        // One slash is dropped, not all of them: a second one is another resource.
        const [path = '', query] = canonical.split(/(?=\?)/, 2)
        const again = canonicalResource(canonical)
        expect(again.startsWith(path.replace(/\/$/, ''))).toBe(true)
        if (query !== undefined) expect(again).toContain(query)
        expect(canonical.length - again.length).toBe(path.endsWith('/') ? 1 : 0)
        expect(canonical).toMatch(/^https?:\/\/[^\s#@/]+[^\s#]*$/)
      }),
    )
  })
})
