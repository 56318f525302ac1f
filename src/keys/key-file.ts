/**
 * One key file: its name, its content, and the ring key it becomes.
 *
 * Validates: strict shape; name, content and key agree with each other; the `kid` is the key's thumbprint (RFC 7638); the
 * private half signs what the public half verifies.
 * Does not validate: permissions and development keys; that is `key-files.ts`.
 */
import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { importPublicJwk, publicMembers, thumbprint } from '../jose/jwk.ts'
import { signBytes, verifyBytes } from '../jose/signature.ts'
import { parseStrictJson } from '../jose/strict-json.ts'
import { KEY_ALGORITHMS, KEY_CLASSES, type KeyAlgorithm, type KeyClass, type RingKey } from './ring-view.ts'

/** A key that cannot be used: the message names the file and the remedy, never key material. */
export class KeyFileError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'KeyFileError'
  }
}

export interface KeyFileName {
  readonly class: KeyClass
  readonly alg: KeyAlgorithm
  readonly kid: string
  readonly development: boolean
}

const SUFFIX = '.jwk.json'
const DEVELOPMENT_PREFIX = 'dev-'
const NAME = /^(dev-)?(access|internal|statement)-(ES256|RS256|Ed25519)-([A-Za-z0-9_-]{43})\.jwk\.json$/

const member = z.string().min(1)
const PRIVATE_JWK = z.discriminatedUnion('kty', [
  z.strictObject({ kty: z.literal('EC'), crv: z.literal('P-256'), x: member, y: member, d: member }),
  z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: member, d: member }),
  z.strictObject({
    kty: z.literal('RSA'),
    n: member,
    e: member,
    d: member,
    p: member,
    q: member,
    dp: member,
    dq: member,
    qi: member,
  }),
])
const CONTENT = z.strictObject({
  class: z.enum(KEY_CLASSES),
  alg: z.enum(KEY_ALGORITHMS),
  kid: member,
  activateAt: z.int().nonnegative(),
  createdAt: z.int().nonnegative(),
  jwk: PRIVATE_JWK,
})
type Content = z.infer<typeof CONTENT>

/** Whether a file of the directory claims to be a key; only those are read, and each must then be a good one. */
export function isKeyFileName(name: string): boolean {
  return name.endsWith(SUFFIX) && !name.startsWith('.')
}

export function formatKeyFileName(key: KeyFileName): string {
  return `${key.development ? DEVELOPMENT_PREFIX : ''}${key.class}-${key.alg}-${key.kid}${SUFFIX}`
}

/** @throws KeyFileError */
export function parseKeyFileName(name: string): KeyFileName {
  const [, prefix, cls, alg, kid] = NAME.exec(name) ?? []
  if (cls === undefined || alg === undefined || kid === undefined) {
    throw new KeyFileError(`${name}: a key file is named <class>-<alg>-<kid>${SUFFIX}`)
  }
  return { class: cls as KeyClass, alg: alg as KeyAlgorithm, kid, development: prefix !== undefined }
}

export function formatKeyFile(key: RingKey): string {
  const jwk = key.signing.key.export({ format: 'jwk' })
  const { class: cls, alg, kid, activateAt, createdAt } = key
  return `${JSON.stringify({ class: cls, alg, kid, activateAt, createdAt, jwk }, null, 2)}\n`
}

/** @throws KeyFileError */
export async function parseKeyFile(name: string, text: string): Promise<RingKey> {
  const expected = parseKeyFileName(name)
  const content = decode(name, text)
  for (const what of ['class', 'alg', 'kid'] as const) {
    if (content[what] !== expected[what]) throw new KeyFileError(`${name}: ${what} in the file is not that of its name`)
  }
  let privateKey: KeyObject
  try {
    privateKey = createPrivateKey({ key: content.jwk as JsonWebKey, format: 'jwk' })
  } catch {
    throw new KeyFileError(`${name}: the jwk is not a private key`)
  }
  return ringKey(name, { ...content, development: expected.development }, privateKey)
}

export type KeyFacts = KeyFileName & Pick<RingKey, 'activateAt' | 'createdAt'>

/** @throws KeyFileError when the facts and the key do not fit together. */
export async function ringKey(name: string, facts: KeyFacts, privateKey: KeyObject): Promise<RingKey> {
  const { class: cls, alg, kid, activateAt, createdAt, development } = facts
  try {
    const members = publicMembers(privateKey.export({ format: 'jwk' }))
    const publicJwk: JsonWebKey = { ...members, kid, alg, use: 'sig' }
    const verification = importPublicJwk(publicJwk)
    const signing = { kid, alg, key: privateKey }
    if (thumbprint(members) !== kid) throw new Error('the kid is not the RFC 7638 thumbprint of the key')
    // Public members that belong to another key would be published while every signature fails to verify.
    const signature = await signBytes(alg, privateKey, kid)
    if (!(await verifyBytes(alg, verification.key, kid, signature))) throw new Error('its two halves do not match')
    return { class: cls, alg, kid, activateAt, createdAt, development, signing, verification, publicJwk }
  } catch (error) {
    throw new KeyFileError(`${name}: ${error instanceof Error ? error.message : 'unusable'}`)
  }
}

function decode(name: string, text: string): Content {
  let value: unknown
  try {
    value = parseStrictJson(text)
  } catch {
    throw new KeyFileError(`${name}: not strict JSON`)
  }
  const result = CONTENT.safeParse(value)
  if (result.success) return result.data
  // Paths and codes only: zod's messages may quote values, and here the values are private keys.
  const faults = result.error.issues.map((issue) => `${issue.path.join('.') || '(document)'} (${issue.code})`)
  throw new KeyFileError(`${name}: unexpected content at ${faults.join(', ')}`)
}
