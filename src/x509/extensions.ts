/**
 * What a certificate's extensions say (RFC 5280 §4.2), those that decide about trust: decoded strictly, each at most once.
 * Whatever else is marked critical is listed as unknown, and refuses its certificate (§4.2, §6.1.4 (o)).
 */
import { CertificateError } from './certificate-error.ts'
import {
  type Element,
  elementsOf,
  expectTag,
  readBits,
  readBoolean,
  readName,
  readOid,
  readSmallInteger,
  soleElement,
  TAG,
} from './der.ts'

/** RFC 5280 §4.2.1.3: positions in the bit string. */
export const KEY_USAGE = { digitalSignature: 0, certificateSigning: 5, crlSigning: 6 } as const

/** RFC 5280 §4.2.1.12. */
export const PURPOSE = { any: '2.5.29.37.0', clientAuthentication: '1.3.6.1.5.5.7.3.2' } as const

/** One form of GeneralName (RFC 5280 §4.2.1.6). Only `dns` and `uri` are read; of the others it is known that they are there. */
export interface GeneralName {
  readonly form: 'dns' | 'uri' | 'directory' | 'other'
  /** Of `other`: its tag, so that constraints of one form concern names of that form. */
  readonly tag: number
  /** Empty for forms that are not read. */
  readonly value: string
}

/** RFC 5280 §4.2.1.10. */
export interface NameConstraints {
  readonly permitted: readonly GeneralName[]
  readonly excluded: readonly GeneralName[]
}

export interface Extensions {
  readonly isCa: boolean
  /** Intermediates that may follow below; `undefined`: any number. */
  readonly pathLength: number | undefined
  readonly keyUsage: { readonly isCritical: boolean; readonly bits: ReadonlySet<number> } | undefined
  /** Object identifiers of extended key usage; `undefined`: for anything. */
  readonly purposes: readonly string[] | undefined
  readonly alternativeNames: readonly GeneralName[]
  readonly nameConstraints: NameConstraints | undefined
  /** Hexadecimal. */
  readonly subjectKeyId: string | undefined
  readonly authorityKeyId: string | undefined
  readonly hasUnknownCritical: boolean
}

const OID = {
  subjectKeyId: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeNames: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyId: '2.5.29.35',
  purposes: '2.5.29.37',
} as const
const KNOWN: ReadonlySet<string> = new Set(Object.values(OID))

interface Extension {
  readonly isCritical: boolean
  readonly value: Buffer
}

/** @param content of the SEQUENCE of extensions. @throws CertificateError `malformed` */
export function readExtensions(content: Buffer): Extensions {
  const found = new Map<string, Extension>()
  for (const element of elementsOf(content)) {
    const [oid, extension] = readExtension(element)
    // RFC 5280 §4.2: two of one kind, and two readers may each believe another.
    if (found.has(oid)) throw new CertificateError('malformed', 'the certificate has an extension twice')
    found.set(oid, extension)
  }
  const read = <T>(oid: string, decode: (value: Buffer) => T): T | undefined => {
    const extension = found.get(oid)
    return extension === undefined ? undefined : decode(extension.value)
  }
  const basic = read(OID.basicConstraints, readBasicConstraints)
  const bits = read(OID.keyUsage, (value) => readBits(soleElement(value, TAG.bitString)))
  return {
    isCa: basic?.isCa ?? false,
    pathLength: basic?.pathLength,
    keyUsage: bits === undefined ? undefined : { isCritical: found.get(OID.keyUsage)?.isCritical ?? false, bits },
    purposes: read(OID.purposes, readPurposes),
    alternativeNames: read(OID.alternativeNames, readNames) ?? [],
    nameConstraints: read(OID.nameConstraints, readNameConstraints),
    subjectKeyId: read(OID.subjectKeyId, (value) => soleElement(value, TAG.octetString).content.toString('hex')),
    authorityKeyId: read(OID.authorityKeyId, readAuthorityKeyId),
    hasUnknownCritical: [...found].some(([oid, { isCritical }]) => isCritical && !KNOWN.has(oid)),
  }
}

function readExtension(element: Element): [string, Extension] {
  const parts = elementsOf(expectTag(element, TAG.sequence).content)
  const critical = parts[1]?.tag === TAG.boolean ? parts[1] : undefined
  const value = expectTag(parts.at(-1), TAG.octetString)
  if (parts.length !== (critical === undefined ? 2 : 3))
    throw new CertificateError('malformed', 'an extension has more parts')
  const oid = readOid(expectTag(parts[0], TAG.oid))
  return [oid, { isCritical: critical !== undefined && readBoolean(critical), value: value.content }]
}

function readBasicConstraints(value: Buffer): { isCa: boolean; pathLength: number | undefined } {
  const [first, second, ...rest] = elementsOf(soleElement(value, TAG.sequence).content)
  const ca = first?.tag === TAG.boolean ? first : undefined
  const length = ca === undefined ? first : second
  if (rest.length > 0 || (ca === undefined && second !== undefined)) {
    throw new CertificateError('malformed', 'basicConstraints has more parts')
  }
  const isCa = ca !== undefined && readBoolean(ca)
  const pathLength = length === undefined ? undefined : readSmallInteger(expectTag(length, TAG.integer))
  // §4.2.1.9: a length where nothing may follow anyway is a certificate that says two things.
  if (!isCa && pathLength !== undefined) throw new CertificateError('malformed', 'pathLenConstraint without cA')
  return { isCa, pathLength }
}

function readPurposes(value: Buffer): readonly string[] {
  const purposes = elementsOf(soleElement(value, TAG.sequence).content)
  return purposes.map((element) => readOid(expectTag(element, TAG.oid)))
}

function readNames(value: Buffer): readonly GeneralName[] {
  const names = elementsOf(soleElement(value, TAG.sequence).content)
  if (names.length === 0) throw new CertificateError('malformed', 'subjectAltName is empty')
  return names.map(readGeneralName)
}

/** Context tags of GeneralName: implicit, so that strings are primitive; a directoryName is a choice and thus explicit. */
const NAME_TAG = { dns: 0x82, directory: 0xa4, uri: 0x86 } as const

function readGeneralName({ tag, content }: Element): GeneralName {
  if (tag < 0x80 || (tag & 0x1f) > 8) throw new CertificateError('malformed', 'a name of no known form')
  if (tag === NAME_TAG.dns) return { form: 'dns', tag, value: readName(content) }
  if (tag === NAME_TAG.uri) return { form: 'uri', tag, value: readName(content) }
  return { form: tag === NAME_TAG.directory ? 'directory' : 'other', tag, value: '' }
}

/** `permittedSubtrees [0]`, `excludedSubtrees [1]`. */
function readNameConstraints(value: Buffer): NameConstraints {
  const parts = elementsOf(soleElement(value, TAG.sequence).content)
  const [permitted, excluded] = [parts.find(({ tag }) => tag === 0xa0), parts.find(({ tag }) => tag === 0xa1)]
  const expected = (permitted === undefined ? 0 : 1) + (excluded === undefined ? 0 : 1)
  if (expected === 0 || parts.length !== expected) throw new CertificateError('malformed', 'nameConstraints')
  return { permitted: readSubtrees(permitted), excluded: readSubtrees(excluded) }
}

function readSubtrees(list: Element | undefined): readonly GeneralName[] {
  if (list === undefined) return []
  return elementsOf(list.content).map((subtree) => {
    const [base, ...bounds] = elementsOf(expectTag(subtree, TAG.sequence).content)
    // §4.2.1.10: minimum is 0 and so not written, maximum is absent.
    if (base === undefined || bounds.length > 0) throw new CertificateError('malformed', 'a subtree with bounds')
    // An empty constraint of a form that is read: every name of that form.
    if (base.content.length === 0)
      return {
        form: base.tag === NAME_TAG.dns ? 'dns' : base.tag === NAME_TAG.uri ? 'uri' : 'other',
        tag: base.tag,
        value: '',
      }
    return readGeneralName(base)
  })
}

function readAuthorityKeyId(value: Buffer): string | undefined {
  const parts = elementsOf(soleElement(value, TAG.sequence).content)
  return parts.find(({ tag }) => tag === 0x80)?.content.toString('hex')
}
