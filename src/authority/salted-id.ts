/**
 * Ids on the feed of revocations: a keyed digest, so that who follows the feed recognises what it has been shown in a token, and
 * does not read from it whom else the company has cut off.
 */
import { createHmac, hash } from 'node:crypto'
import type { Dimension } from './dimensions.ts'

/** 128 bits: two ids that meet would kill what nobody cut off. */
const SALTED_BYTES = 16
/** Of SHA-256. */
const BLOCK_BYTES = 64
const DIGEST_BYTES = 32
const [INNER_PAD, OUTER_PAD] = [0x36, 0x5c]
/** Longer ones are nobody's habit. */
const TEXT_CHARS_MAX = 512
const BYTES_PER_CHAR_MAX = 3

type Mac = (text: string) => string

/** Those of one store, and of one that was lost. */
const macs = new Map<string, Mac>()
const MACS_MAX = 8

/** `salt`: as the feed gives it, its text. */
export function saltedId(salt: string, dimension: Dimension, id: string): string {
  const text = `${dimension}|${id}`
  if (text.length <= TEXT_CHARS_MAX) return macOf(salt)(text)
  return createHmac('sha256', salt).update(text).digest().subarray(0, SALTED_BYTES).toString('base64url')
}

function macOf(salt: string): Mac {
  const known = macs.get(salt)
  if (known !== undefined) return known
  const made = makeMac(salt)
  if (macs.size >= MACS_MAX) macs.clear()
  macs.set(salt, made)
  return made
}

/** RFC 2104 §2 by two digests: half the work of the library's object for it, which each new token would need one of. */
function makeMac(salt: string): Mac {
  const inner = Buffer.alloc(BLOCK_BYTES + TEXT_CHARS_MAX * BYTES_PER_CHAR_MAX, INNER_PAD)
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, OUTER_PAD)
  const written = Buffer.from(salt)
  const key = written.length > BLOCK_BYTES ? hash('sha256', written, 'buffer') : written
  for (const [at, octet] of key.entries()) {
    inner[at] = octet ^ INNER_PAD
    outer[at] = octet ^ OUTER_PAD
  }
  const mac = Buffer.alloc(DIGEST_BYTES)
  return (text) => {
    const end = BLOCK_BYTES + inner.write(text, BLOCK_BYTES)
    outer.write(hash('sha256', inner.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1')
    mac.write(hash('sha256', outer, 'binary'), 'latin1')
    return mac.toString('base64url', 0, SALTED_BYTES)
  }
}
