/** What is sealed is opened by the same ring, as the same thing, and by nobody else. */
import { generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { publicMembers, thumbprint } from '../../../src/jose/jwk.ts'
import { ringKey } from '../../../src/keys/key-file.ts'
import { KeyRing } from '../../../src/keys/key-ring.ts'
import type { KeyClass, RingKey } from '../../../src/keys/ring-view.ts'
import { openText, sealText } from '../../../src/keys/sealed-text.ts'

const T = 1_800_000_000

async function key(cls: KeyClass, activateAt = T): Promise<RingKey> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const kid = thumbprint(publicMembers(privateKey.export({ format: 'jwk' })))
  const facts = { class: cls, alg: 'ES256', kid, activateAt, createdAt: T, development: true } as const
  return ringKey('a test key', facts, privateKey)
}

const [first, second] = [await key('internal'), await key('internal', T + 100)]
const ring = new KeyRing([first])

test('any text comes back as it was, and never looks the same twice', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme', minLength: 1 }), (text, context) => {
      const sealed = sealText(text, context, ring, T)
      expect(openText(sealed, context, ring)).toBe(text)
      expect(openText(sealed, `${context}.`, ring)).toBeUndefined()
      expect(sealText(text, context, ring, T)).not.toBe(sealed)
    }),
  )
})

test('a changed byte, a shortened text, another form and nothing at all open nothing', () => {
  const sealed = sealText('DROP TABLE', 'apr_1', ring, T)
  const [format, kid, encoded = ''] = JSON.parse(sealed)
  const bytes = Buffer.from(encoded, 'base64url')
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    expect(openText(JSON.stringify([format, kid, changed.toString('base64url')]), 'apr_1', ring)).toBeUndefined()
    const short = bytes.subarray(0, at).toString('base64url')
    expect(openText(JSON.stringify([format, kid, short]), 'apr_1', ring)).toBeUndefined()
  }
  for (const other of [
    '',
    '{}',
    '[]',
    'null',
    JSON.stringify(['v2', kid, encoded]),
    JSON.stringify(['v1', 'x', encoded]),
  ]) {
    expect(openText(other, 'apr_1', ring)).toBeUndefined()
  }
})

test('another ring opens nothing; after a rotation the old key still opens, and killed it never does again', () => {
  const sealed = sealText('DROP TABLE', 'apr_1', ring, T)
  expect(openText(sealed, 'apr_1', new KeyRing([second]))).toBeUndefined()
  const rotated = new KeyRing([first, second])
  expect(openText(sealed, 'apr_1', rotated)).toBe('DROP TABLE')
  expect(JSON.parse(sealText('x', 'y', rotated, T + 200))[1]).toBe(second.kid)
  rotated.strike(first.kid)
  expect(openText(sealed, 'apr_1', rotated)).toBeUndefined()
})

test('a key of another class seals nothing and opens nothing', async () => {
  const access = await key('access')
  expect(() => sealText('x', 'y', new KeyRing([access]), T)).toThrow('no active internal key')
  const sealed = sealText('x', 'y', ring, T)
  const relabelled = JSON.stringify(['v1', access.kid, JSON.parse(sealed)[2]])
  expect(openText(relabelled, 'y', new KeyRing([first, access]))).toBeUndefined()
})
