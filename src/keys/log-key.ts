/**
 * The key that signs the audit log's checkpoints: Ed25519, one per key directory, made at the first start.
 *
 * It is not of the ring: no token is signed with it, nothing rotates it by itself, and a receipt from years ago is checked with
 * its public half. As a development key it is named so and refused elsewhere. Brokers that start together agree on one.
 */
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { codeOf } from '../kernel/fault.ts'
import { signNote } from '../tlog/note.ts'
import { type NoteKey, noteKey, parseVkey } from '../tlog/note-keys.ts'
import { KeyFileError } from './key-file.ts'
import { listDirectory, readPrivate, writePrivate } from './private-files.ts'
import type { RingDocument } from './shared-ring.ts'

const FILE = 'audit-log.key'
const DEVELOPMENT_FILE = `dev-${FILE}`
/** In the document: more brokers than any log has had. */
const ANNOUNCED_MAX = 256

export interface LogSigner {
  /** Its name is the log's origin. */
  readonly key: NoteKey
  /** The signature line under the text of a note. */
  sign(text: string): Promise<string>
}

/** `https://errand.example/broker` keeps the log `errand.example/broker/audit`. */
export function logOrigin(issuer: string): string {
  return `${issuer.replace(/^https?:\/\//, '').replace(/\/$/, '')}/audit`
}

export interface LogKeyOptions {
  readonly directory: string
  readonly development: boolean
  readonly issuer: string
}

/** What a broker signs checkpoints with; announced when it is first used. */
export class LogKey {
  readonly #options: LogKeyOptions
  readonly #announced: RingDocument
  /** By the name that it signs under. */
  readonly #signers = new Map<string, LogSigner>()

  constructor(options: LogKeyOptions, announced: RingDocument) {
    this.#options = options
    this.#announced = announced
  }

  /**
   * `undefined`: there is no key here yet, as on a machine that waits for its files to be mounted.
   * @param origin of a log that was continued; else the log's first
   * @throws KeyFileError, StoreUnavailable
   */
  async signer(origin = logOrigin(this.#options.issuer)): Promise<LogSigner | undefined> {
    const known = this.#signers.get(origin)
    if (known !== undefined) return known
    const found = await findLogKey(this.#options, origin)
    if (found === undefined) return undefined
    await announceLogKey(this.#announced, found)
    this.#signers.set(origin, found)
    return found
  }
}

/** Makes the key of a directory that has none. @throws KeyFileError */
export async function ensureLogKey(options: LogKeyOptions): Promise<void> {
  if ((await readLogKey(options)) === undefined) await makeLogKey(options.directory, fileName(options))
}

/** The signer of this key directory; `undefined`: it has none. @throws KeyFileError */
export async function findLogKey(
  options: LogKeyOptions,
  origin = logOrigin(options.issuer),
): Promise<LogSigner | undefined> {
  const text = await readLogKey(options)
  return text === undefined ? undefined : signerOf(fileName(options), text, origin)
}

function fileName({ development }: LogKeyOptions): string {
  return development ? DEVELOPMENT_FILE : FILE
}

async function readLogKey(options: LogKeyOptions): Promise<string | undefined> {
  const { directory, development } = options
  const names = await listDirectory(directory).catch((): string[] => [])
  if (!development && names.includes(DEVELOPMENT_FILE)) {
    throw new KeyFileError(`${DEVELOPMENT_FILE}: a development key must not be used here; remove it`)
  }
  const name = fileName(options)
  return names.includes(name) ? readPrivate(directory, name) : undefined
}

async function makeLogKey(directory: string, name: string): Promise<void> {
  const made = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }) as string
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 })
    await writePrivate(directory, name, made)
  } catch (error) {
    // Another broker on this directory was faster: its key is the one.
    if ((await listDirectory(directory).catch((): string[] => [])).includes(name)) return
    throw new KeyFileError(
      `${name}: there is none, and ${directory} cannot be written (${codeOf(error)}); let one broker make it, or put its file there`,
    )
  }
}

function signerOf(name: string, text: string, origin: string): LogSigner {
  const privateKey = readPem(name, text)
  const key = noteKey(origin, 'log', privateKey)
  return { key, sign: (note) => signNote(note, key, privateKey) }
}

/** @throws KeyFileError */
function readPem(name: string, text: string): KeyObject {
  try {
    const key = createPrivateKey(text)
    if (key.asymmetricKeyType === 'ed25519') return key
  } catch {
    // Said below, without what is in the file.
  }
  throw new KeyFileError(`${name}: not an Ed25519 private key (PEM, PKCS #8)`)
}

/**
 * Tells everyone who reads the store with which keys the log is signed. Whoever can write there can announce any: it is for
 * people to look a key up by its id, and no verifier believes it. A broker only holds back for it: it signs nothing that contradicts a
 * checkpoint of an announced key while that is published.
 * @throws StoreUnavailable
 */
async function announceLogKey(document: RingDocument, { key }: LogSigner): Promise<void> {
  for (;;) {
    const found = await document.read()
    const vkeys = announcedKeys(found)
    if (vkeys.includes(key.vkey)) return
    const text = JSON.stringify({ v: 1, vkeys: [...vkeys, key.vkey].slice(-ANNOUNCED_MAX) })
    if (await document.replace(found, text)) return
  }
}

/** What can be read of the document: never more than a list of well-formed vkeys. */
export function announcedKeys(text: string | undefined): readonly string[] {
  try {
    const vkeys: unknown = JSON.parse(text ?? '{}').vkeys
    return Array.isArray(vkeys) ? vkeys.filter((vkey) => typeof vkey === 'string' && isVkey(vkey)) : []
  } catch {
    return []
  }
}

function isVkey(text: string): boolean {
  try {
    return parseVkey(text).vkey === text
  } catch {
    return false
  }
}
