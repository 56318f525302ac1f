/**
 * The two spellings of an ECDSA signature: `r‖s` of fixed length (RFC 7518 §3.4, IEEE P1363) on the wire, ASN.1 DER in the
 * crypto library. Converted by hand because asking the library for P1363 costs 45 µs per call.
 *
 * Validates: length, and 0 < r, s < n. A library that forgets the zero accepts (0, 0) for every message (CVE-2022-21449).
 */
import type { EcCurve } from './algorithms.ts'

const ORDER: Readonly<Record<EcCurve, Buffer>> = {
  'P-256': Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex'),
  'P-384': Buffer.from(
    'ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
    'hex',
  ),
  'P-521': Buffer.from(
    '01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409',
    'hex',
  ),
}

/** `undefined`: no valid signature has this form. */
export function derFromP1363(signature: Uint8Array, crv: EcCurve): Buffer | undefined {
  const order = ORDER[crv]
  if (signature.length !== order.length * 2) return undefined
  const r = signature.subarray(0, order.length)
  const s = signature.subarray(order.length)
  for (const integer of [r, s]) {
    if (integer.every((octet) => octet === 0) || Buffer.compare(integer, order) >= 0) return undefined
  }
  const body = Buffer.concat([derInteger(r), derInteger(s)])
  const head = body.length < 0x80 ? [0x30, body.length] : [0x30, 0x81, body.length]
  return Buffer.concat([Buffer.from(head), body])
}

/** Only for signatures our own library has just made. */
export function p1363FromDer(der: Uint8Array, crv: EcCurve): Buffer {
  const bytes = ORDER[crv].length
  const signature = Buffer.alloc(bytes * 2)
  let at = der[1] === 0x81 ? 3 : 2
  for (const end of [bytes, bytes * 2]) {
    const length = der[at + 1] ?? 0
    const integer = der.subarray(at + 2, at + 2 + length)
    const magnitude = integer[0] === 0 ? integer.subarray(1) : integer
    if (der[at] !== 0x02 || magnitude.length > bytes) throw new Error('the crypto library gave no ECDSA signature')
    signature.set(magnitude, end - magnitude.length)
    at += 2 + length
  }
  return signature
}

function derInteger(integer: Uint8Array): Buffer {
  let start = 0
  while (integer[start] === 0) start += 1
  const magnitude = integer.subarray(start)
  // A leading bit would make it negative (X.690 §8.3.3).
  const head = (magnitude[0] ?? 0) & 0x80 ? [0x02, magnitude.length + 1, 0] : [0x02, magnitude.length]
  return Buffer.concat([Buffer.from(head), magnitude])
}
