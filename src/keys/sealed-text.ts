/**
 * Texts that are kept in the store and read by few: encrypted (AES-256-GCM) under a key made from the broker's internal signing
 * key, which is in no store. Whoever has the store, or a copy of it, or may read its records, has not read them.
 *
 * A text opens for as long as the file of its key is here: rotating keeps it, killing the key shuts it for good.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { KeyRing } from './key-ring.ts'
import type { RingKey } from './ring-view.ts'

const FORMAT = 'v1'
const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** What the key is for: no signature is made with it, and no other use of the signing key yields it. */
const INFO = 'errand sealed text v1'

/** @param context what it belongs to: it opens with the same only. @throws Rejection `keys_not_ready` */
export function sealText(text: string, context: string, ring: Pick<KeyRing, 'active' | 'held'>, now: number): string {
  const { kid } = ring.active('internal', 'ES256', now)
  const key = contentKey(kid, ring)
  if (key === undefined) throw new Error('the key that signs is not in its ring')
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context))
  const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
  return JSON.stringify([FORMAT, kid, sealed.toString('base64url')])
}

/** `undefined`: its key is not here any more, or it was sealed as something else. */
export function openText(sealed: string, context: string, ring: Pick<KeyRing, 'held'>): string | undefined {
  try {
    const [format, kid, encoded] = JSON.parse(sealed) as readonly unknown[]
    if (format !== FORMAT || typeof kid !== 'string' || typeof encoded !== 'string') return undefined
    const key = contentKey(kid, ring)
    if (key === undefined) return undefined
    const bytes = Buffer.from(encoded, 'base64url')
    const end = bytes.length - TAG_BYTES
    const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(context))
    decipher.setAuthTag(bytes.subarray(end))
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

function contentKey(kid: string, ring: Pick<KeyRing, 'held'>): Buffer | undefined {
  const key = ring.held().find((one) => one.kid === kid && one.class === 'internal')
  return key === undefined ? undefined : Buffer.from(hkdfSync('sha256', secretOf(key), kid, INFO, 32))
}

function secretOf({ signing }: RingKey): Buffer {
  const { d } = signing.key.export({ format: 'jwk' })
  if (d === undefined) throw new Error('a signing key has a private half')
  return Buffer.from(d, 'base64url')
}
