/**
 * One captured text, sealed (AES-256-GCM) with a data key of its own, as it lies beside its record.
 *
 * Guarantees: it opens as what it was sealed as, and nowhere else: the record, the kind, the session and the place of its key are
 * bound into it, so that texts exchanged between records, or within one, do not open.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import type { CapturedKind } from '../../model/captured.ts'
import type { DataKey, KeyPlace } from './data-keys.ts'

const FORMAT = 'captured-v1'
const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16

/** What it belongs to. */
export interface Belonging {
  /** Id of the record. */
  readonly record: string
  readonly kind: CapturedKind
  /** Empty: of none. */
  readonly session: string
}

/** As it was before it was sealed. */
export interface CapturedText {
  readonly text: string
  /** It was longer: SHA-256 of all of it. */
  readonly whole?: string
}

/** What it says of itself before it is opened; nothing of it is believed before it has opened. */
export interface Sealed extends KeyPlace {
  readonly session: string
  readonly bytes: Buffer
}

export function sealContent(content: CapturedText, belonging: Belonging, { page, index, key }: DataKey): string {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(boundTo(belonging, { page, index }))
  const bytes = [nonce, cipher.update(JSON.stringify(content), 'utf8'), cipher.final(), cipher.getAuthTag()]
  return JSON.stringify([FORMAT, page, index, belonging.session, Buffer.concat(bytes).toString('base64url')])
}

/** `undefined`: it is no such text. */
export function readSealed(text: string): Sealed | undefined {
  let parts: unknown
  try {
    parts = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!Array.isArray(parts)) return undefined
  const [format, page, index, session, encoded] = parts as readonly unknown[]
  const isSealed = format === FORMAT && typeof page === 'string' && typeof session === 'string'
  if (!isSealed || !Number.isSafeInteger(index) || typeof encoded !== 'string') return undefined
  return { page, index: index as number, session, bytes: Buffer.from(encoded, 'base64url') }
}

/** `undefined`: it was sealed as something else, or with another key. */
export function openContent(
  { page, index, session, bytes }: Sealed,
  belonging: Omit<Belonging, 'session'>,
  key: Buffer,
): CapturedText | undefined {
  const end = bytes.length - TAG_BYTES
  if (end < NONCE_BYTES) return undefined
  const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
  decipher.setAAD(boundTo({ ...belonging, session }, { page, index }))
  decipher.setAuthTag(bytes.subarray(end))
  try {
    const text = Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]).toString('utf8')
    return JSON.parse(text) as CapturedText
  } catch {
    return undefined
  }
}

/** None of them holds a line break: what is bound is never two things. */
function boundTo({ record, kind, session }: Belonging, { page, index }: KeyPlace): Buffer {
  return Buffer.from([FORMAT, record, kind, session, page, index].join('\n'))
}
