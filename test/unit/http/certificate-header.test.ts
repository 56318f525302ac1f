import { describe, expect, test } from 'vitest'
import { readCertificateHeader } from '../../../src/http/certificate-header.ts'
import { TestAuthority } from '../../support/authorities.ts'

const authority = await TestAuthority.root()
const { der, certificate: pem } = await authority.issue()
const other = await authority.issue()
const base64 = der.toString('base64')
const escaped = encodeURIComponent(pem)
const upper = authority.der.toString('base64')
const chainOf = (...pems: string[]) => encodeURIComponent(pems.join(''))

describe('Client-Cert and Client-Cert-Chain (RFC 9440)', () => {
  const read = (text: string | undefined, chain?: string) => readCertificateHeader('client-cert', text, chain)

  test('one byte sequence, and a list of them', () => {
    expect(read(`:${base64}:`)).toEqual([der])
    expect(read(`:${base64}:`, `:${upper}:, :${base64}:`)).toEqual([der, authority.der, der])
    expect(read(undefined)).toBeUndefined()
    expect(read('')).toBeUndefined()
  })

  test.each([
    ['two certificates: a client sent one, too', `:${base64}:, :${base64}:`, undefined],
    ['a chain without a certificate', undefined, `:${upper}:`],
    ['a member of the chain that is none', `:${base64}:`, `:${upper}:, x`],
    ['an empty member', `:${base64}:`, `:${upper}:,`],
    ['no colons', base64, undefined],
    ['parameters', `:${base64}:;a=1`, undefined],
    ['an empty sequence', '::', undefined],
    ['base64 in another spelling', `:${base64.slice(0, -4)}====:`, undefined],
    ['base64url', `:${der.toString('base64url')}_-:`, undefined],
    ['PEM', escaped, undefined],
    ['more than a path can have', `:${base64}:`, Array(5).fill(`:${upper}:`).join(',')],
  ])('%s is unreadable', (_, text, chain) => {
    expect(read(text, chain)).toBe('unreadable')
  })
})

describe('X-Forwarded-Client-Cert (Envoy)', () => {
  const read = (text: string) => readCertificateHeader('x-forwarded-client-cert', text, undefined)
  const hash = `Hash=${'a'.repeat(64)}`

  test('one element with the certificate, or with its chain, beside what else Envoy says', () => {
    expect(
      read(`By=spiffe://a/b;${hash};Cert="${escaped}";Subject="CN=\\"a, b\\"; c";URI=spiffe://a/c;DNS=x;DNS=y`),
    ).toEqual([der])
    expect(read(`Chain="${chainOf(pem, authority.certificate)}"`)).toEqual([der, authority.der])
    expect(read(`Cert="${escaped}";Chain="${chainOf(pem, authority.certificate)}"`)).toEqual([der, authority.der])
    expect(read('')).toBeUndefined()
  })

  test.each([
    ['two elements: the first may be the client’s own', `Cert="${escaped}",Cert="${escaped}"`],
    ['two elements, one without a certificate', `URI=spiffe://a/b, Cert="${escaped}"`],
    ['a certificate twice', `Cert="${escaped}";Cert="${escaped}"`],
    ['a chain that begins with another', `Cert="${escaped}";Chain="${chainOf(other.certificate, pem)}"`],
    ['a chain in place of a certificate', `Cert="${chainOf(pem, authority.certificate)}"`],
    ['only its digest', hash],
    ['only its name', 'URI=spiffe://example.org/agent'],
    ['an open quote', `Cert="${escaped}`],
    ['something behind', `Cert="${escaped}";`],
    ['something between', `Cert="${escaped}" x;URI=y`],
  ])('%s is unreadable', (_, text) => {
    expect(read(text)).toBe('unreadable')
  })
})

describe.each(['ssl-client-cert', 'x-amzn-mtls-clientcert'] as const)('%s', (name) => {
  const read = (text: string | undefined) => readCertificateHeader(name, text, undefined)

  test('PEM, percent-encoded, with the signs of base64 encoded or not', () => {
    expect(read(escaped)).toEqual([der])
    expect(read(pem.replaceAll('\n', '%0A').replaceAll(' ', '%20'))).toEqual([der])
    expect(read(chainOf(pem, authority.certificate))).toEqual([der, authority.der])
    expect(read(undefined)).toBeUndefined()
    expect(read('')).toBeUndefined()
  })

  test.each([
    ['two headers', `${escaped}, ${escaped}`],
    ['no PEM', base64],
    ['text before it', encodeURIComponent(`x\n${pem}`)],
    ['text behind it', encodeURIComponent(`${pem}x`)],
    ['another kind', encodeURIComponent(pem.replaceAll('CERTIFICATE', 'CERTIFICATE REQUEST'))],
    ['a broken escape', `${escaped}%`],
    ['bytes that are no UTF-8', '%ff'],
    ['spaces for pluses', escaped.replaceAll('%2B', '%20').replaceAll('%2F', '%20')],
    ['(null), as some proxies write', '(null)'],
    ['too many', chainOf(...Array(6).fill(pem))],
  ])('%s is unreadable', (_, text) => {
    expect(read(text)).toBe('unreadable')
  })
})
