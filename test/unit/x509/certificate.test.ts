import { describe, expect, test } from 'vitest'
import { X509_CERTIFICATE_BYTES_MAX } from '../../../src/kernel/limits.ts'
import { decodeCertificate } from '../../../src/x509/certificate.ts'
import { der, NAME, TestAuthority } from '../../support/authorities.ts'

const authority = await TestAuthority.root()
const issued = await authority.issue({ uris: ['spiffe://example.org/agent'] })

/** The outermost three parts, and those of what is signed. */
function partsOf(bytes: Buffer): { body: Buffer[]; rest: Buffer[] } {
  const [body = Buffer.alloc(0), ...rest] = split(contentOf(bytes))
  return { body: split(contentOf(body)), rest }
}
function contentOf(element: Buffer): Buffer {
  const first = element[1] ?? 0
  return element.subarray(first < 0x80 ? 2 : 2 + (first & 0x7f))
}
function split(bytes: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at + 1] ?? 0
    const octets = first < 0x80 ? 0 : first & 0x7f
    const length = octets === 0 ? first : bytes.readUIntBE(at + 2, octets)
    found.push(bytes.subarray(at, at + 2 + octets + length))
    at += 2 + octets + length
  }
  return found
}

/** The certificate with one part of what is signed exchanged: 0 version, 1 serial, 2 algorithm, 4 validity, 7 extensions. */
function withPart(index: number, part: Buffer | undefined): Buffer {
  const { body, rest } = partsOf(issued.der)
  const changed = body.flatMap((one, at) => (at !== index ? [one] : part === undefined ? [] : [part]))
  return der(0x30, der(0x30, ...changed), ...rest)
}
const extensions = split(contentOf(contentOf(partsOf(issued.der).body[7] ?? Buffer.alloc(0))))
const withExtensions = (...list: Buffer[]) => withPart(7, der(0xa3, der(0x30, ...list)))
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const extension = (hex: string, ...value: Buffer[]) => der(0x30, oid(hex), der(0x04, ...value))
const text = (tag: number, value: string) => der(tag, Buffer.from(value, 'latin1'))
const validity = (from: Buffer, to: Buffer) => withPart(4, der(0x30, from, to))
const SOON = text(0x17, '301231235959Z')
const flag = (octet: number) => der(0x01, Buffer.from([octet]))

const refused = (bytes: Uint8Array) =>
  expect(() => decodeCertificate(bytes)).toThrow(expect.objectContaining({ code: 'malformed' }))

test('what is put together again here is the certificate itself', () => {
  expect(withExtensions(...extensions)).toEqual(issued.der)
  expect(decodeCertificate(issued.der).alternativeNames).toEqual([
    { form: 'uri', tag: NAME.uri, value: 'spiffe://example.org/agent' },
  ])
})

describe('strict DER (X.690 §10)', () => {
  test('nothing is missing, nothing is left over, nothing is too long', () => {
    refused(Buffer.alloc(0))
    refused(Buffer.from('not a certificate'))
    refused(Buffer.concat([issued.der, Buffer.from([0])]))
    for (const length of [1, 2, 4, 100, issued.der.length - 1]) refused(issued.der.subarray(0, length))
    refused(Buffer.concat([issued.der, Buffer.alloc(X509_CERTIFICATE_BYTES_MAX)]))
    refused(withPart(9, undefined).subarray(1))
  })

  test('lengths in another than their shortest form, or in none', () => {
    const content = contentOf(issued.der)
    const long = Buffer.concat([
      Buffer.from([0x30, 0x83, 0]),
      Buffer.from([content.length >> 8, content.length & 0xff]),
      content,
    ])
    refused(long)
    refused(Buffer.concat([Buffer.from([0x30, 0x80]), content, Buffer.from([0, 0])]))
    refused(Buffer.concat([Buffer.from([0x30, 0x84, 0, 0, content.length >> 8, content.length & 0xff]), content]))
  })
})

describe('RFC 5280 §4.1', () => {
  test('versions 1 and 2 are refused, and fields that nobody needs', () => {
    refused(withPart(0, undefined))
    refused(withPart(0, Buffer.from('a003020101', 'hex')))
    refused(withPart(7, undefined))
    const { body, rest } = partsOf(issued.der)
    const unique = text(0x81, '\0unique')
    refused(der(0x30, der(0x30, ...body.slice(0, 7), unique, ...body.slice(7)), ...rest))
  })

  test('§4.1.1.2: the algorithm inside is the one outside, to the byte', () => {
    refused(withPart(2, der(0x30, oid('2a8648ce3d040303'))))
    refused(withPart(2, der(0x30, oid('2a8648ce3d040302'), der(0x05))))
  })

  test('§4.1.2.5: times in their one form, and days that there are', () => {
    const good = decodeCertificate(validity(text(0x17, '500101000000Z'), text(0x18, '20491231235959Z')))
    expect([good.notBefore, good.notAfter]).toEqual([
      Date.UTC(1950, 0, 1) / 1000,
      Date.UTC(2049, 11, 31, 23, 59, 59) / 1000,
    ])
    const bad = [
      '3012312359Z',
      '301231235959+0000',
      '301231235960Z',
      '300231000000Z',
      '301331000000Z',
      '30123123595Z',
      '',
    ]
    for (const time of bad) refused(validity(text(0x17, time), SOON))
    for (const time of ['20301231235959', '20301231235959.5Z', '301231235959Z'])
      refused(validity(text(0x18, time), SOON))
    refused(validity(text(0x16, '301231235959Z'), SOON))
    refused(withPart(4, der(0x30, SOON)))
  })
})

describe('RFC 5280 §4.2: extensions', () => {
  const BASIC = '551d13'
  const others = extensions.filter((one) => !one.includes(Buffer.from('0603551d13', 'hex')))

  test('one that stands there twice refuses the certificate', () => {
    const [first = Buffer.alloc(0)] = extensions
    refused(withExtensions(...extensions, first))
  })

  test('basicConstraints says one thing', () => {
    const decode = (...value: Buffer[]) =>
      decodeCertificate(withExtensions(...others, extension(BASIC, der(0x30, ...value))))
    expect(decode().isCa).toBe(false)
    expect(decode(flag(0xff), der(0x02, Buffer.from([3])))).toMatchObject({ isCa: true, pathLength: 3 })
    const wrong: readonly (readonly Buffer[])[] = [
      [flag(1)],
      [flag(0), der(0x02, Buffer.from([3]))],
      [der(0x02, Buffer.from([3]))],
      [flag(0xff), der(0x02, Buffer.from([0xff]))],
      [flag(0xff), der(0x02, Buffer.from([0, 3]))],
      [flag(0xff), der(0x02)],
      [flag(0xff), der(0x02, Buffer.from([1])), der(0x02, Buffer.from([2]))],
    ]
    for (const value of wrong) expect(() => decode(...value)).toThrow(expect.objectContaining({ code: 'malformed' }))
  })

  test('names hold no character that another reader would end them at', () => {
    const NAMES = '551d11'
    const without = extensions.filter((one) => !one.includes(Buffer.from('0603551d11', 'hex')))
    const decode = (...names: Buffer[]) =>
      decodeCertificate(withExtensions(...without, extension(NAMES, der(0x30, ...names))))
    expect(decode(text(NAME.uri, 'spiffe://a/b'), text(NAME.dns, 'b')).alternativeNames).toHaveLength(2)
    for (const value of ['spiffe://a/b\0.evil', 'spiffe://a/b\n', 'spiffe://a/ b', 'spiffe://ä/b', '']) {
      expect(() => decode(text(NAME.uri, value))).toThrow(expect.objectContaining({ code: 'malformed' }))
    }
    expect(() => decode()).toThrow(expect.objectContaining({ code: 'malformed' }))
    expect(() => decode(text(0x16, 'spiffe://a/b'))).toThrow(expect.objectContaining({ code: 'malformed' }))
  })

  test('key usage is a bit string in its own form', () => {
    const USAGE = '551d0f'
    const without = extensions.filter((one) => !one.includes(Buffer.from('0603551d0f', 'hex')))
    const decode = (...bits: number[]) =>
      decodeCertificate(withExtensions(...without, extension(USAGE, der(0x03, Buffer.from(bits))))).keyUsage?.bits
    expect(decode(7, 0x80)).toEqual(new Set([0]))
    expect(decode(1, 0x06)).toEqual(new Set([5, 6]))
    for (const bits of [[], [8, 0x80], [7, 0x81], [1]]) {
      expect(() => decode(...bits)).toThrow(expect.objectContaining({ code: 'malformed' }))
    }
  })

  test('name constraints without any subtree, or with bounds, are none that can be kept', () => {
    const CONSTRAINTS = '551d1e'
    const decode = (...parts: Buffer[]) =>
      decodeCertificate(withExtensions(...extensions, extension(CONSTRAINTS, der(0x30, ...parts))))
    const tree = (...more: Buffer[]) => der(0x30, text(NAME.uri, 'example.org'), ...more)
    expect(decode(der(0xa0, tree())).nameConstraints?.permitted).toHaveLength(1)
    for (const parts of [
      [],
      [der(0xa0, tree(text(0x80, '\x01')))],
      [der(0xa0, tree()), der(0xa0, tree())],
      [der(0xa2, tree())],
    ]) {
      expect(() => decode(...parts)).toThrow(expect.objectContaining({ code: 'malformed' }))
    }
  })
})
