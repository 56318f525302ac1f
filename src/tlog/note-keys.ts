/**
 * The keys of signed notes (C2SP signed-note): a name, a 4-byte id made of name and key, and what kind of signature the key
 * makes. Written as a vkey, `<name>+<id>+<base64 of kind and key>`, which is what people hand each other.
 *
 * Validates: the name, the id against the rest, the kind, the length of the key.
 * Does not validate: whose key it is; whoever trusts it was given it by hand.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto'

/** Not a note, a key or a checkpoint as the specifications write them; the message says what is wrong, never repeats it. */
export class NoteError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'NoteError'
  }
}

/** Signature types of signed-note: Ed25519 over the text (a log), and over text and time (a witness, tlog-cosignature). */
export type NoteKeyKind = 'log' | 'witness'
const TYPE_BYTE: Readonly<Record<NoteKeyKind, number>> = { log: 0x01, witness: 0x04 }
const KEY_BYTES = 32
const ID_BYTES = 4

export interface NoteKey {
  readonly name: string
  readonly kind: NoteKeyKind
  /** 8 hex digits. With the name it says which key; it proves nothing. */
  readonly id: string
  readonly publicKey: KeyObject
  /** The one spelling of all of this. */
  readonly vkey: string
}

/** @param key either half of an Ed25519 key. @throws NoteError for a name that no note may have, or another kind of key */
export function noteKey(name: string, kind: NoteKeyKind, key: KeyObject): NoteKey {
  const { kty, crv, x } = key.export({ format: 'jwk' })
  if (kty !== 'OKP' || crv !== 'Ed25519' || x === undefined) throw new NoteError('not an Ed25519 key')
  return keyOf(name, kind, Buffer.from(x, 'base64url'))
}

/** @throws NoteError */
export function parseVkey(text: string): NoteKey {
  const [, name, id, encoded] = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text) ?? []
  if (name === undefined || encoded === undefined) throw new NoteError('a vkey is <name>+<8 hex digits>+<base64>')
  const bytes = decodeBase64(encoded)
  const kind = (Object.keys(TYPE_BYTE) as NoteKeyKind[]).find((one) => TYPE_BYTE[one] === bytes?.[0])
  if (bytes === undefined || kind === undefined || bytes.length !== 1 + KEY_BYTES) {
    throw new NoteError('not the vkey of an Ed25519 key of a log or a witness')
  }
  const key = keyOf(name, kind, bytes.subarray(1))
  if (key.id !== id) throw new NoteError('the id in the vkey is not that of its name and key')
  return key
}

function keyOf(name: string, kind: NoteKeyKind, raw: Buffer): NoteKey {
  if (!isKeyName(name)) throw new NoteError('a key name has no spaces and no plus sign')
  const typed = Buffer.concat([Buffer.of(TYPE_BYTE[kind]), raw])
  const id = createHash('sha256')
    .update(`${name}\n`)
    .update(typed)
    .digest('hex')
    .slice(0, 2 * ID_BYTES)
  const publicKey = createPublicKey({
    key: { kty: 'OKP', crv: 'Ed25519', x: raw.toString('base64url') },
    format: 'jwk',
  })
  return { name, kind, id, publicKey, vkey: `${name}+${id}+${typed.toString('base64')}` }
}

/** signed-note: not empty, no Unicode spaces, no plus; and no control characters, as in all of a note. */
export function isKeyName(name: string): boolean {
  return /^[^\p{White_Space}\p{Cc}+]+$/u.test(name)
}

/** RFC 4648 §4 in its one spelling: no other text stands for the same bytes. `undefined`: it is not that. */
export function decodeBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : undefined
}
