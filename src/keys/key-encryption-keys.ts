/**
 * Key-encryption keys: each in a file of its own in the key directory, 256 random bits, named by a digest of them. They wrap the
 * data keys of what is captured, and nothing else; the newest wraps, all of them unwrap.
 *
 * Guarantees: what was wrapped for one place opens in no other; a file is its owner's alone, or refused. Whoever destroys a key
 * has destroyed every data key that only it wraps, wherever copies of those lie.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { z } from 'zod'
import { parseStrictJson } from '../jose/strict-json.ts'
import { sha256 } from '../kernel/digest.ts'
import { KeyFileError } from './key-file.ts'
import { listDirectory, readPrivate, writePrivate } from './private-files.ts'

const CIPHER = 'aes-256-gcm'
const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const NAME = /^content-([A-Za-z0-9_-]{22})\.kek\.json$/
const CONTENT = z.strictObject({
  id: z.string(),
  createdAt: z.int().nonnegative(),
  key: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
})

export interface KeyEncryptionKey {
  readonly id: string
  /** Epoch milliseconds. */
  readonly createdAt: number
  readonly key: Buffer
}

export class KeyEncryptionKeys {
  readonly #directory: string
  #keys: readonly KeyEncryptionKey[]

  private constructor(directory: string, keys: readonly KeyEncryptionKey[]) {
    this.#directory = directory
    this.#keys = keys
  }

  /** @throws KeyFileError for the first file that is not exactly as it should be */
  static async open(directory: string): Promise<KeyEncryptionKeys> {
    return new KeyEncryptionKeys(directory, await load(directory))
  }

  /** The files as they are now. @throws KeyFileError, and it stays as it is */
  async reload(): Promise<void> {
    this.#keys = await load(this.#directory)
  }

  /** The one that wraps; `undefined`: there is none. */
  get newest(): KeyEncryptionKey | undefined {
    return this.#keys.at(-1)
  }

  /** Oldest first. */
  get ids(): readonly string[] {
    return this.#keys.map(({ id }) => id)
  }

  get(id: string): KeyEncryptionKey | undefined {
    return this.#keys.find((key) => key.id === id)
  }
}

/** @param sealing whether something is to be sealed. @throws KeyFileError where there is nothing to seal it with */
export function assertCanSeal(keys: KeyEncryptionKeys, directory: string, sealing: boolean): void {
  if (!sealing || keys.newest !== undefined) return
  const remedy = 'make one with errand keys rotate-content, or mount the file that the other brokers have'
  throw new KeyFileError(`audit.capture seals, and ${directory} has no key-encryption key: ${remedy}`)
}

/** A new one, which wraps from the moment a broker has found its file. */
export async function createKeyEncryptionKey(directory: string, nowMs: number): Promise<KeyEncryptionKey> {
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const newest = (await load(directory)).at(-1)
  const key = randomBytes(KEY_BYTES)
  // It has to be the newest, also where two are made in one millisecond or the clock was set back.
  const made = { id: idOf(key), createdAt: Math.max(nowMs, (newest?.createdAt ?? 0) + 1), key }
  const text = JSON.stringify({ id: made.id, createdAt: made.createdAt, key: key.toString('base64url') })
  await writePrivate(directory, `content-${made.id}.kek.json`, `${text}\n`)
  return made
}

/** @param place what it is the key of: it opens with the same only */
export function wrapKey(dataKey: Buffer, place: string, { id, key }: KeyEncryptionKey): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(boundTo(id, place))
  return Buffer.concat([nonce, cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** `undefined`: it was not wrapped by this key for this place. */
export function unwrapKey(wrapped: string, place: string, { id, key }: KeyEncryptionKey): Buffer | undefined {
  const bytes = Buffer.from(wrapped, 'base64url')
  if (bytes.length !== NONCE_BYTES + KEY_BYTES + TAG_BYTES) return undefined
  const end = bytes.length - TAG_BYTES
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(boundTo(id, place))
  decipher.setAuthTag(bytes.subarray(end))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()])
  } catch {
    return undefined
  }
}

const boundTo = (id: string, place: string) => Buffer.from(`errand data key v1\n${id}\n${place}`)

/** Says nothing of 256 random bits, and whether the file is whole. */
const idOf = (key: Buffer) => sha256(Buffer.concat([Buffer.from('errand key-encryption key\n'), key])).slice(0, 22)

/** Of a directory that cannot be read there are none: nothing is sealed or opened. */
async function load(directory: string): Promise<readonly KeyEncryptionKey[]> {
  const listed = await listDirectory(directory).catch((): string[] => [])
  const names = listed.filter((name) => name.endsWith('.kek.json') && !name.startsWith('.'))
  const keys: KeyEncryptionKey[] = []
  for (const name of names) {
    const text = await readPrivate(directory, name)
    if (text !== undefined) keys.push(parse(name, text))
  }
  return keys.sort((a, b) => a.createdAt - b.createdAt || (a.id < b.id ? -1 : 1))
}

function parse(name: string, text: string): KeyEncryptionKey {
  const decoded = CONTENT.safeParse(jsonIn(name, text))
  const [, id] = NAME.exec(name) ?? []
  if (!decoded.success || id === undefined) {
    throw new KeyFileError(`${name}: a key-encryption key is written by errand keys rotate-content, and not changed`)
  }
  const key = Buffer.from(decoded.data.key, 'base64url')
  if (key.length !== KEY_BYTES || idOf(key) !== id || decoded.data.id !== id) {
    throw new KeyFileError(`${name}: its name, its id and its key do not belong together`)
  }
  return { id, createdAt: decoded.data.createdAt, key }
}

function jsonIn(name: string, text: string): unknown {
  try {
    return parseStrictJson(text)
  } catch {
    throw new KeyFileError(`${name}: not JSON`)
  }
}
