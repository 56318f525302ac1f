/** The audit log's key: made once, private, announced, and never believed for being announced. */
import { chmod, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { KeyFileError } from '../../../src/keys/key-file.ts'
import { announcedKeys, ensureLogKey, findLogKey, LogKey, logOrigin } from '../../../src/keys/log-key.ts'
import { openNote } from '../../../src/tlog/note.ts'
import { MemoryDocument } from '../../support/memory-document.ts'

const root = await mkdtemp(join(tmpdir(), 'errand-log-key-'))
afterAll(() => rm(root, { recursive: true }))
let count = 0
let directory = ''
beforeEach(() => {
  count += 1
  directory = join(root, String(count))
})

const options = (development = false) => ({ directory, development, issuer: 'https://errand.example/one' })

test('the first start makes the key, its owner’s alone; later starts and other brokers use it', async () => {
  expect(await findLogKey(options())).toBeUndefined()
  await Promise.all(Array.from({ length: 8 }, () => ensureLogKey(options())))
  expect(await readdir(directory)).toEqual(['audit-log.key'])
  expect((await stat(join(directory, 'audit-log.key'))).mode & 0o777).toBe(0o600)
  const first = await findLogKey(options())
  await ensureLogKey(options())
  expect((await findLogKey(options()))?.key.vkey).toBe(first?.key.vkey)
  expect(first?.key.name).toBe('errand.example/one/audit')
  const lines = [(await first?.sign('text\n')) ?? '']
  expect(await openNote({ text: 'text\n', lines }, first === undefined ? [] : [first.key])).toHaveLength(1)
})

test('the origin is the issuer without its scheme', () => {
  expect(logOrigin('http://127.0.0.1:4400')).toBe('127.0.0.1:4400/audit')
  expect(logOrigin('https://errand.example')).toBe('errand.example/audit')
})

test('a development key is named so, and refused elsewhere', async () => {
  await ensureLogKey(options(true))
  expect(await readdir(directory)).toEqual(['dev-audit-log.key'])
  await expect(ensureLogKey(options())).rejects.toThrow('development key')
})

test('a key that others may read, that is cut short or of another kind is refused, and not repeated', async () => {
  await ensureLogKey(options())
  const path = join(directory, 'audit-log.key')
  await chmod(path, 0o644)
  await expect(findLogKey(options())).rejects.toThrow('chmod 600')
  await writeFile(path, '-----BEGIN PRIVATE KEY-----\nsecret\n')
  await chmod(path, 0o600)
  const fault = await findLogKey(options()).catch((error: unknown) => error)
  expect(fault).toBeInstanceOf(KeyFileError)
  expect(String(fault)).not.toContain('secret')
})

test('a directory without a key that cannot be written says what to do', async () => {
  await writeFile(directory, '')
  await expect(ensureLogKey(options())).rejects.toThrow(KeyFileError)
})

test('a key is announced when it is first used, once, beside those of others', async () => {
  const document = new MemoryDocument()
  const key = new LogKey(options(), document)
  expect(await key.signer()).toBeUndefined()
  expect(document.text).toBeUndefined()
  await ensureLogKey(options())
  const signer = await key.signer()
  await new LogKey(options(), document).signer()
  expect(announcedKeys(document.text)).toEqual([signer?.key.vkey])
  await rename(join(directory, 'audit-log.key'), join(directory, 'old'))
  await ensureLogKey(options())
  const second = await new LogKey(options(), document).signer()
  expect(announcedKeys(document.text)).toEqual([signer?.key.vkey, second?.key.vkey])
})

test('of what others may write where keys are announced, only vkeys are read', () => {
  for (const text of [undefined, '', '[]', '{"vkeys":7}', 'null', '{"vkeys":["x",7,null]}']) {
    expect(announcedKeys(text)).toEqual([])
  }
})
