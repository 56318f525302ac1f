/** Key-encryption keys: files that are their owner's alone, and a wrapping that opens in one place with one key. */

import { randomBytes } from 'node:crypto'
import { chmodSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKeyEncryptionKey, KeyEncryptionKeys, unwrapKey, wrapKey } from '../../../src/keys/key-encryption-keys.ts'
import { scratchDirectory } from '../../support/scratch.ts'

let directory: string
beforeEach(() => {
  directory = scratchDirectory('errand-keks-')
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const file = () => join(directory, readdirSync(directory)[0] ?? '')
const key = () => ({ id: 'A'.repeat(22), createdAt: 1, key: randomBytes(32) })

describe('files', () => {
  test('the newest wraps, also of two made in one millisecond and after the clock was set back; all are held', async () => {
    const made = []
    for (const at of [5_000, 5_000, 1]) made.push(await createKeyEncryptionKey(directory, at))
    const keys = await KeyEncryptionKeys.open(directory)
    expect(keys.ids).toEqual(made.map(({ id }) => id))
    expect(keys.newest).toEqual(made[2])
    expect(keys.get(made[0]?.id ?? '')).toEqual(made[0])
  })

  test('one is its owner’s alone: readable by others, it is refused with what to do', async () => {
    await createKeyEncryptionKey(directory, 1)
    expect(statSync(file()).mode & 0o777).toBe(0o600)
    chmodSync(file(), 0o640)
    await expect(KeyEncryptionKeys.open(directory)).rejects.toThrow(/mode 640 .* chmod 600/)
  })

  test.each([
    ['another key', (text: string) => text.replace(/"key":"./, (found) => `"key":"${found.endsWith('A') ? 'B' : 'A'}`)],
    ['another id', (text: string) => text.replace(/"id":"./, (found) => `"id":"${found.endsWith('A') ? 'B' : 'A'}`)],
    ['a member more', (text: string) => text.replace('{', '{"note":"x",')],
    ['no JSON', () => 'nothing'],
    ['a key that is shorter', (text: string) => text.replace(/"key":"[^"]{4}/, '"key":"')],
  ])('with %s in it, it is refused, and named', async (_what, change) => {
    await createKeyEncryptionKey(directory, 1)
    writeFileSync(file(), change(readFileSync(file(), 'utf8')))
    await expect(KeyEncryptionKeys.open(directory)).rejects.toThrow(/content-.*kek\.json/)
  })

  test('what comes later is found by reloading; a directory that is not there holds none', async () => {
    const keys = await KeyEncryptionKeys.open(join(directory, 'none'))
    expect(keys.newest).toBeUndefined()
    await createKeyEncryptionKey(join(directory, 'none'), 1)
    await keys.reload()
    expect(keys.ids).toHaveLength(1)
  })
})

describe('wrapping', () => {
  test('opens for the same place with the same key, and never twice in the same letters', () => {
    const [kek, data] = [key(), randomBytes(32)]
    const wrapped = wrapKey(data, 'page:1', kek)
    expect(unwrapKey(wrapped, 'page:1', kek)).toEqual(data)
    expect(wrapKey(data, 'page:1', kek)).not.toBe(wrapped)
  })

  test('nothing else opens it: another place, another key, the same key under another name, any bit of it changed', () => {
    const [kek, data] = [key(), randomBytes(32)]
    const wrapped = wrapKey(data, 'page:1', kek)
    expect(unwrapKey(wrapped, 'page:2', kek)).toBeUndefined()
    expect(unwrapKey(wrapped, 'page:1', key())).toBeUndefined()
    expect(unwrapKey(wrapped, 'page:1', { ...kek, id: 'B'.repeat(22) })).toBeUndefined()
    const bytes = Buffer.from(wrapped, 'base64url')
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(bytes)
        flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        expect(unwrapKey(flipped.toString('base64url'), 'page:1', kek)).toBeUndefined()
      }),
    )
    for (const short of ['', wrapped.slice(0, -4), `${wrapped}AAAA`])
      expect(unwrapKey(short, 'page:1', kek)).toBeUndefined()
  })
})
