/**
 * The directory of signing keys: read strictly, written atomically, one key per file.
 *
 * Guarantees: a key file is readable by its owner only, or refused; a development key (`dev-…`) is refused outside
 * development; a file appears complete or not at all; brokers that start together on an empty directory agree on one set.
 * Does not validate: that nobody else has a copy of a key.
 */
import { generateKeyPair, type KeyObject } from 'node:crypto'
import { mkdir, rename, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { publicMembers, thumbprint } from '../jose/jwk.ts'
import { codeOf } from '../kernel/fault.ts'
import {
  formatKeyFile,
  formatKeyFileName,
  isKeyFileName,
  KeyFileError,
  parseKeyFile,
  parseKeyFileName,
  ringKey,
} from './key-file.ts'
import { listDirectory, readPrivate, writePrivate } from './private-files.ts'
import { JWKS_CACHE_S, type KeyAlgorithm, type KeyClass, type RingKey } from './ring-view.ts'

/** Verifiers' caches, and a minute for brokers to reload. */
export const PUBLISH_SECONDS = JWKS_CACHE_S + 60
/** No verifier caches an internal key, but brokers must reload: until then one refuses what another signs with it. */
export const INTERNAL_PUBLISH_SECONDS = 60
const LOCK = '.first-start.lock'
const LOCK_WAIT_MS = 10_000
const LOCK_POLL_MS = 50

export interface KeyRequest {
  readonly class: KeyClass
  readonly alg: KeyAlgorithm
  /** Epoch seconds, all of them. */
  readonly activateAt: number
  readonly now: number
  readonly development: boolean
}

export interface RotationRequest {
  readonly class: KeyClass
  readonly alg: KeyAlgorithm
  readonly now: number
  readonly development: boolean
  /**
   * How long the new key is published before it signs. Default: `PUBLISH_SECONDS`; `INTERNAL_PUBLISH_SECONDS` for
   * `internal`. By then every broker that shares the ring must have reloaded.
   */
  readonly publishSeconds?: number
}

export interface FirstKeysRequest {
  readonly now: number
  readonly development: boolean
  /** Algorithms of access keys. Default: ES256, and RS256, which RFC 9068 §2.1 wants every server to have. */
  readonly algs?: readonly KeyAlgorithm[]
}

/** @throws KeyFileError */
export async function keyFileNames(directory: string): Promise<readonly string[]> {
  return (await listDirectory(directory)).filter(isKeyFileName).sort()
}

/** @throws KeyFileError for the first file that is not exactly as it should be. */
export async function loadKeys(
  directory: string,
  options: { readonly development: boolean },
): Promise<readonly RingKey[]> {
  const names = await keyFileNames(directory)
  const keys: RingKey[] = []
  for (const name of names) {
    if (parseKeyFileName(name).development && !options.development) {
      throw new KeyFileError(`${name}: a development key must not be used here; remove it, or start with --development`)
    }
    const text = await readPrivate(directory, name)
    if (text !== undefined) keys.push(await parseKeyFile(name, text))
  }
  return keys
}

export async function createKey(directory: string, request: KeyRequest): Promise<RingKey> {
  const { class: cls, alg, activateAt, now, development } = request
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const privateKey = await generate(alg)
  const kid = thumbprint(publicMembers(privateKey.export({ format: 'jwk' })))
  const facts = { class: cls, alg, kid, activateAt, createdAt: now, development }
  const name = formatKeyFileName(facts)
  const key = await ringKey(name, facts, privateKey)
  await writePrivate(directory, name, formatKeyFile(key))
  return key
}

/** Creates the successor of the active key of this class and algorithm: published at once, signing later. */
export async function rotate(directory: string, request: RotationRequest): Promise<RingKey> {
  const { publishSeconds = request.class === 'internal' ? INTERNAL_PUBLISH_SECONDS : PUBLISH_SECONDS, now } = request
  if (!Number.isSafeInteger(publishSeconds) || publishSeconds < 0) {
    throw new TypeError('publishSeconds must be a whole number of seconds, not negative')
  }
  const { class: cls, alg, development } = request
  return createKey(directory, { class: cls, alg, activateAt: now + publishSeconds, now, development })
}

/** Creates what a first start lacks, active at once, and loads everything. Never adds to a group that has a key. */
export async function ensureKeys(directory: string, request: FirstKeysRequest): Promise<readonly RingKey[]> {
  const { now, development, algs = ['ES256', 'RS256'] } = request
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const wanted: readonly (readonly [KeyClass, KeyAlgorithm])[] = [
    ...algs.map((alg) => ['access', alg] as const),
    ['internal', 'ES256'],
    ['statement', 'ES256'],
  ]
  const missing = (keys: readonly RingKey[]): typeof wanted =>
    wanted.filter(([cls, alg]) => !keys.some((key) => key.class === cls && key.alg === alg))
  const present = await loadKeys(directory, { development })
  if (missing(present).length === 0) return present
  return underLock(directory, async () => {
    for (const [cls, alg] of missing(await loadKeys(directory, { development }))) {
      await createKey(directory, { class: cls, alg, activateAt: now, now, development })
    }
    return loadKeys(directory, { development })
  })
}

/**
 * A key for a group that has none to sign with. Several brokers that are asked at once agree on one.
 * @param isDead keys that do not count, though their file is still there.
 */
export async function createSigner(
  directory: string,
  request: KeyRequest,
  isDead: (kid: string) => boolean,
): Promise<void> {
  const { class: cls, alg, now, development } = request
  await underLock(directory, async () => {
    const keys = await loadKeys(directory, { development })
    const signs = (key: RingKey) => key.class === cls && key.alg === alg && key.activateAt <= now && !isDead(key.kid)
    if (!keys.some(signs)) await createKey(directory, request)
  })
}

/** Renames the file of a killed key so that it is read no more; kept for whoever looks into what happened. */
export async function setAside(directory: string, kid: string): Promise<void> {
  for (const name of await keyFileNames(directory)) {
    if (parseKeyFileName(name).kid !== kid) continue
    await rename(join(directory, name), join(directory, `${name}.killed`)).catch((error: unknown) => {
      // Another broker on this directory was faster.
      if (codeOf(error) !== 'ENOENT') throw error
    })
  }
}

/** `mkdir` is the one atomic test-and-set every file system has. */
async function underLock<T>(directory: string, act: () => Promise<T>): Promise<T> {
  const lock = join(directory, LOCK)
  for (let waitedMs = 0; ; waitedMs += LOCK_POLL_MS) {
    try {
      await mkdir(lock)
      break
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error
      if (waitedMs >= LOCK_WAIT_MS) {
        throw new KeyFileError(`${lock} exists: another broker is creating keys, or died doing so; then remove it`)
      }
      await sleep(LOCK_POLL_MS)
    }
  }
  try {
    return await act()
  } finally {
    await rmdir(lock)
  }
}

const generateAsync = promisify(generateKeyPair)

async function generate(alg: KeyAlgorithm): Promise<KeyObject> {
  switch (alg) {
    case 'ES256':
      return (await generateAsync('ec', { namedCurve: 'P-256' })).privateKey
    case 'RS256':
      return (await generateAsync('rsa', { modulusLength: 2048, publicExponent: 65_537 })).privateKey
    case 'Ed25519':
      return (await generateAsync('ed25519', {})).privateKey
  }
}
