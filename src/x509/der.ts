/**
 * DER (X.690 §10), the strict subset that certificates use: one-octet tags, definite lengths in their shortest form, nothing
 * behind the end. BER, which parsers commonly forgive, would let one certificate have two readings.
 */
import { CertificateError } from './certificate-error.ts'

export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
} as const

export interface Element {
  readonly tag: number
  readonly content: Buffer
  /** Tag, length and content. */
  readonly whole: Buffer
}

/** The elements that fill these bytes to the last. @throws CertificateError `malformed` */
export function elementsOf(bytes: Buffer): readonly Element[] {
  const found: Element[] = []
  for (let at = 0; at < bytes.length; ) {
    const element = elementAt(bytes, at)
    found.push(element)
    at += element.whole.length
  }
  return found
}

/** The one element these bytes are. @throws CertificateError `malformed` */
export function soleElement(bytes: Buffer, tag: number): Element {
  const [element, ...rest] = elementsOf(bytes)
  if (element === undefined || rest.length > 0 || element.tag !== tag) throw malformed('an element of another type')
  return element
}

/** @throws CertificateError `malformed` where it is of another type, or missing */
export function expectTag(element: Element | undefined, tag: number): Element {
  if (element === undefined || element.tag !== tag) throw malformed('an element of another type, or none')
  return element
}

function elementAt(bytes: Buffer, at: number): Element {
  const tag = bytes[at]
  const first = bytes[at + 1]
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw malformed('a tag')
  const octets = first < 0x80 ? 0 : first & 0x7f
  // 0x80 is the indefinite length of BER; four octets of length would be larger than anything accepted here.
  if (first === 0x80 || octets > 3 || at + 2 + octets > bytes.length) throw malformed('a length')
  const length = octets === 0 ? first : bytes.readUIntBE(at + 2, octets)
  if (octets > 0 && (length < 0x80 || bytes[at + 2] === 0)) throw malformed('a length that is not in its shortest form')
  const start = at + 2 + octets
  if (start + length > bytes.length) throw malformed('a length beyond the end')
  return { tag, content: bytes.subarray(start, start + length), whole: bytes.subarray(at, start + length) }
}

/** @throws CertificateError `malformed` */
export function readBoolean({ content }: Element): boolean {
  const [value, ...rest] = content
  if (rest.length > 0 || (value !== 0xff && value !== 0)) throw malformed('a boolean')
  return value === 0xff
}

/** A small number that is not negative, such as a path length. @throws CertificateError `malformed` */
export function readSmallInteger({ content }: Element): number {
  const [first = 0x80, second] = content
  const isMinimal = first !== 0 || second === undefined || second >= 0x80
  if (content.length > 4 || first >= 0x80 || !isMinimal) throw malformed('an integer')
  return content.readUIntBE(0, content.length)
}

/** Dotted. @throws CertificateError `malformed` */
export function readOid({ content }: Element): string {
  const arcs: number[] = []
  let arc = 0
  let isOpen = false
  for (const octet of content) {
    if (!isOpen && octet === 0x80) throw malformed('an object identifier')
    arc = arc * 128 + (octet & 0x7f)
    if (arc > 0xffff_ffff) throw malformed('an object identifier')
    isOpen = octet >= 0x80
    if (isOpen) continue
    arcs.push(arc)
    arc = 0
  }
  const [first] = arcs
  if (first === undefined || isOpen) throw malformed('an object identifier')
  const root = Math.min(Math.floor(first / 40), 2)
  return [root, first - root * 40, ...arcs.slice(1)].join('.')
}

/** Bit 0 is the first of the string (X.690 §8.6). @throws CertificateError `malformed` */
export function readBits({ content }: Element): ReadonlySet<number> {
  const [unused = 8, ...octets] = content
  const last = octets.at(-1) ?? 0
  if (unused > 7 || (octets.length === 0 && unused > 0) || (last & ((1 << unused) - 1)) !== 0) {
    throw malformed('a bit string')
  }
  const bits = new Set<number>()
  octets.forEach((octet, index) => {
    for (let bit = 0; bit < 8; bit += 1) if ((octet & (0x80 >> bit)) !== 0) bits.add(index * 8 + bit)
  })
  return bits
}

/** IA5String content of a name: visible ASCII only, so that no NUL or line break makes two readers see two names. */
export function readName(content: Buffer): string {
  const text = content.toString('latin1')
  if (!/^[\x21-\x7e]+$/.test(text)) throw malformed('a name with characters that names do not have')
  return text
}

/** Epoch seconds, of UTCTime or GeneralizedTime in the forms of RFC 5280 §4.1.2.5. @throws CertificateError `malformed` */
export function readTime({ tag, content }: Element): number {
  const text = content.toString('latin1')
  const isShort = tag === TAG.utcTime
  const digits = isShort && /^\d{12}Z$/.test(text) ? century(text) + text : text
  if ((!isShort && tag !== TAG.generalizedTime) || !/^\d{14}Z$/.test(digits)) throw malformed('a time')
  const part = (from: number, to: number) => digits.slice(from, to)
  const written = `${part(0, 4)}-${part(4, 6)}-${part(6, 8)}T${part(8, 10)}:${part(10, 12)}:${part(12, 14)}.000Z`
  const time = new Date(written)
  // The 31st of February would be read as a day of March.
  if (Number.isNaN(time.getTime()) || time.toISOString() !== written) throw malformed('a time')
  return time.getTime() / 1000
}

/** RFC 5280 §4.1.2.5.1. */
function century(text: string): string {
  return Number(text.slice(0, 2)) >= 50 ? '19' : '20'
}

function malformed(what: string): CertificateError {
  return new CertificateError('malformed', `the certificate is not in strict DER: ${what}`)
}
