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
    if (leadingZeros(integer) === integer.length || Buffer.compare(integer, order) >= 0) return undefined
  }
  const bytes = derIntegerBytes(r) + derIntegerBytes(s)
  const headBytes = bytes < 0x80 ? 2 : 3
  const der = Buffer.allocUnsafe(headBytes + bytes)
  der[0] = 0x30
  if (headBytes === 3) der[1] = 0x81
  der[headBytes - 1] = bytes
  writeDerInteger(der, writeDerInteger(der, headBytes, r), s)
  return der
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

/** Octets of its leading zeros, which DER has not. */
function leadingZeros(integer: Uint8Array): number {
  let count = 0
  while (integer[count] === 0) count += 1
  return count
}

/** A leading bit would make it negative (X.690 §8.3.3): such a one gets an octet before it. */
function padBytes(integer: Uint8Array, zeros: number): number {
  return (integer[zeros] ?? 0) & 0x80 ? 1 : 0
}

function derIntegerBytes(integer: Uint8Array): number {
  const zeros = leadingZeros(integer)
  return 2 + padBytes(integer, zeros) + integer.length - zeros
}

/** Where the next begins. */
function writeDerInteger(der: Buffer, at: number, integer: Uint8Array): number {
  const zeros = leadingZeros(integer)
  const pad = padBytes(integer, zeros)
  const bytes = pad + integer.length - zeros
  der[at] = 0x02
  der[at + 1] = bytes
  if (pad === 1) der[at + 2] = 0
  der.set(zeros === 0 ? integer : integer.subarray(zeros), at + 2 + pad)
  return at + 2 + bytes
}
