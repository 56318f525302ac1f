import { describe, expect, test } from 'vitest'
import { challengeHeader, plainText, resourceMetadataUrl } from '../../../../src/sdk/verify/challenge.ts'

const resourceMetadata = 'https://warehouse.example/.well-known/oauth-protected-resource/mcp'

describe('WWW-Authenticate', () => {
  test('RFC 6750 §3.1 names no error where no token was presented', () => {
    expect(challengeHeader({ scopes: ['mcp:tools:read'], resourceMetadata })).toBe(
      `Bearer scope="mcp:tools:read", resource_metadata="${resourceMetadata}"`,
    )
  })

  test('tells a client with too little scope everything it needs to step up', () => {
    const scopes = ['mcp:tools:read', 'mcp:tools:write']
    expect(
      challengeHeader({ error: 'insufficient_scope', description: 'more is needed', scopes, resourceMetadata }),
    ).toBe(
      'Bearer error="insufficient_scope", error_description="more is needed", ' +
        `scope="mcp:tools:read mcp:tools:write", resource_metadata="${resourceMetadata}"`,
    )
  })

  test('leaves scope out where no scope would help', () => {
    const header = challengeHeader({ error: 'outside_intent', description: 'no', scopes: [], resourceMetadata })
    expect(header).not.toContain('scope=')
  })

  test('cannot be ended early by what it quotes', () => {
    const description = 'a "quoted" \\ word\r\nSet-Cookie: x=y'
    const header = challengeHeader({ error: 'invalid_token', description, scopes: ['"evil'], resourceMetadata })
    expect(header).toBe(
      'Bearer error="invalid_token", error_description="a ?quoted? ? word??Set-Cookie: x=y", ' +
        `resource_metadata="${resourceMetadata}"`,
    )
  })

  test('RFC 6750 §3 holds the characters allowed and no others', () => {
    expect(plainText('\u0000 ~\u007fé"\\')).toBe('? ~????')
  })
})

describe('RFC 9728 §3.1 the metadata address', () => {
  test.each([
    ['https://a.example/mcp', 'https://a.example/.well-known/oauth-protected-resource/mcp'],
    ['https://a.example', 'https://a.example/.well-known/oauth-protected-resource'],
    ['https://a.example/', 'https://a.example/.well-known/oauth-protected-resource'],
    ['https://a.example:8443/x/y?z=1', 'https://a.example:8443/.well-known/oauth-protected-resource/x/y?z=1'],
  ])('of %s is %s', (resource, metadata) => {
    expect(resourceMetadataUrl(resource)).toBe(metadata)
  })
})
