import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { UsageError } from '../../../src/cli/failures.ts'
import {
  createFile,
  PRIVATE,
  PUBLIC,
  readNamedFile,
  readPrivateFile,
  replaceFile,
} from '../../../src/cli/private-file.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-file-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))
const path = (name: string) => join(directory, name)
const mode = (name: string) => statSync(path(name)).mode & 0o777

describe('writing', () => {
  test('a private file is its owner’s from the first moment, and so is a folder made for it', async () => {
    const before = process.umask(0)
    try {
      await createFile(path('new/key'), 'secret', PRIVATE)
    } finally {
      process.umask(before)
    }
    expect(mode('new/key')).toBe(0o600)
    expect(mode('new')).toBe(0o700)
  })

  test('creating never touches what is there, not even through a link', async () => {
    writeFileSync(path('old'), 'kept')
    symlinkSync('old', path('link'))
    symlinkSync('nowhere', path('dangling'))
    for (const name of ['old', 'link', 'dangling']) {
      await expect(createFile(path(name), 'new', PUBLIC), name).rejects.toThrow('exists already')
    }
    expect(readFileSync(path('old'), 'utf8')).toBe('kept')
    expect(readdirSync(directory).sort()).toEqual(['dangling', 'link', 'old'])
  })

  test('of two that create at once, one is told', async () => {
    const both = await Promise.allSettled([createFile(path('x'), 'a', PRIVATE), createFile(path('x'), 'b', PRIVATE)])
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(readdirSync(directory)).toEqual(['x'])
  })

  test('replacing tightens the mode of an older file', async () => {
    writeFileSync(path('token'), 'old', { mode: 0o644 })
    await replaceFile(path('token'), 'new', PRIVATE)
    expect(readFileSync(path('token'), 'utf8')).toBe('new')
    expect(mode('token')).toBe(0o600)
    expect(readdirSync(directory)).toEqual(['token'])
  })
})

describe('reading a private file', () => {
  test.each([0o640, 0o604, 0o660, 0o620, 0o601])('of mode %o is refused with the remedy', async (bits) => {
    writeFileSync(path('key'), 'x')
    chmodSync(path('key'), bits)
    await expect(readPrivateFile(path('key'))).rejects.toThrow(/run chmod 600/)
    // A token or document that a user names may be anybody's.
    expect(await readNamedFile(path('key'))).toBe('x')
  })

  test('that is absent, a folder, or too large is said', async () => {
    await expect(readPrivateFile(path('absent'))).rejects.toThrow(
      new UsageError(`${path('absent')} cannot be read (ENOENT)`),
    )
    await expect(readPrivateFile(directory)).rejects.toThrow('not a regular file')
    await expect(readNamedFile(directory)).rejects.toThrow('is a directory')
    writeFileSync(path('large'), 'x'.repeat(70_000), { mode: 0o600 })
    await expect(readPrivateFile(path('large'))).rejects.toThrow('larger than')
    await expect(readNamedFile(path('large'))).rejects.toThrow('larger than')
  })
})
