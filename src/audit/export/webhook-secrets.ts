/**
 * Signatures of webhooks as Standard Webhooks 1.0 has them: over the id, the time and the body, by each secret that the file
 * holds, so that a receiver may know the old one or the new one while they change places.
 *
 * Guarantees: a secret is read anew for each message and kept nowhere; a file without a usable secret signs nothing, and
 * nothing unsigned is sent.
 */
import { createHmac, createPrivateKey, type KeyObject } from 'node:crypto'
import { signBytes } from '../../jose/signature.ts'
import { readLocalSecret } from '../../net/local-files.ts'

export interface SignedMessage {
  readonly id: string
  /** Epoch seconds. */
  readonly timestamp: number
  readonly body: string
}

const SYMMETRIC = /^whsec_([A-Za-z0-9+/]+={0,2})$/
const ASYMMETRIC = /^whsk_([A-Za-z0-9+/]+={0,2})$/
const SECRETS_MAX = 2
/** What the specification asks for: 192 to 512 bits. */
const [HMAC_BYTES_MIN, HMAC_BYTES_MAX] = [24, 64]

/** `webhook-signature`: one for each secret. @throws Error in plain words, never with what is in the file */
export async function signatures(path: string, { id, timestamp, body }: SignedMessage): Promise<string> {
  const lines = (await readLocalSecret(path)).split('\n').map((line) => line.trim())
  const secrets = lines.filter((line) => line !== '' && !line.startsWith('#'))
  if (secrets.length === 0 || secrets.length > SECRETS_MAX) {
    throw new Error(`${path} must hold one secret, or two while they are changed`)
  }
  const content = `${id}.${timestamp}.${body}`
  return (await Promise.all(secrets.map((secret) => signed(secret, content, path)))).join(' ')
}

async function signed(secret: string, content: string, path: string): Promise<string> {
  const hmacKey = bytesOf(SYMMETRIC, secret)
  if (hmacKey !== undefined && hmacKey.length >= HMAC_BYTES_MIN && hmacKey.length <= HMAC_BYTES_MAX) {
    return `v1,${createHmac('sha256', hmacKey).update(content).digest('base64')}`
  }
  const key = ed25519Key(bytesOf(ASYMMETRIC, secret))
  if (key === undefined)
    throw new Error(`${path}: a line is neither whsec_ with 24 to 64 bytes nor whsk_ with an Ed25519 key`)
  return `v1a,${Buffer.from(await signBytes('EdDSA', key, content)).toString('base64')}`
}

function bytesOf(form: RegExp, secret: string): Buffer | undefined {
  const [, text] = form.exec(secret) ?? []
  return text === undefined ? undefined : Buffer.from(text, 'base64')
}

/** PKCS#8 of an Ed25519 key, up to its 32 bytes (RFC 8410 §7). */
const ED25519_PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SEED_BYTES = 32

/** @param bytes the seed, alone or with the public half behind it, as libraries keep it */
function ed25519Key(bytes: Buffer | undefined): KeyObject | undefined {
  if (bytes === undefined || (bytes.length !== SEED_BYTES && bytes.length !== 2 * SEED_BYTES)) return undefined
  const der = Buffer.concat([ED25519_PKCS8, bytes.subarray(0, SEED_BYTES)])
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
}
