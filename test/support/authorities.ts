/**
 * A hierarchy of certificate authorities made on the spot: roots, intermediates, cross-signed twins, and what they sign, right
 * or wrong in any one way a test asks for.
 */
import { createHash, webcrypto, X509Certificate } from 'node:crypto'
import '../../src/x509/reflect-metadata.ts'

type Library = typeof import('@peculiar/x509')
type Extension = InstanceType<Library['Extension']>
type KeyPair = Awaited<ReturnType<typeof webcrypto.subtle.generateKey>> & { privateKey: unknown; publicKey: unknown }

const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const RSA = (bits: number, hash: string) => ({
  name: 'RSASSA-PKCS1-v1_5',
  modulusLength: bits,
  publicExponent: new Uint8Array([1, 0, 1]),
  hash,
})
export const ALGORITHM = {
  p256: P256,
  p384: { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' },
  ed25519: { name: 'Ed25519' },
  rsa2048: RSA(2048, 'SHA-256'),
  rsa1024: RSA(1024, 'SHA-256'),
  sha1: RSA(2048, 'SHA-1'),
} as const
type AlgorithmName = keyof typeof ALGORITHM

const HOUR_MS = 3600 * 1000

export interface Shape {
  /** Default: `CN=<a number>` of an authority, none of a workload. */
  readonly subject?: string
  /** Hours from now, negative for the past. */
  readonly from?: number
  readonly until?: number
  /** basicConstraints; `null`: none. */
  readonly ca?: boolean | null
  readonly pathLength?: number
  /** Names of key usages; `null`: no such extension. */
  readonly usages?: readonly (keyof typeof USAGE)[] | null
  readonly usagesCritical?: boolean
  /** Object identifiers; `null`: no such extension. */
  readonly purposes?: readonly string[] | null
  readonly uris?: readonly string[]
  readonly dns?: readonly string[]
  readonly constraints?: Constraints
  /** Without authorityKeyIdentifier and subjectKeyIdentifier. */
  readonly withoutKeyIds?: boolean
  readonly extra?: readonly { readonly oid: string; readonly critical: boolean; readonly value?: Buffer }[]
  readonly algorithm?: AlgorithmName
  /** Another authority's key instead of a new one: a cross-signed twin. */
  readonly keyOf?: TestAuthority
}

export interface Constraints {
  readonly permitted?: readonly (readonly [tag: number, value: string])[]
  readonly excluded?: readonly (readonly [tag: number, value: string])[]
}

/** GeneralName tags, for `constraints`. */
export const NAME = { email: 0x81, dns: 0x82, directory: 0xa4, uri: 0x86, ip: 0x87 } as const
export const PURPOSES = { server: '1.3.6.1.5.5.7.3.1', client: '1.3.6.1.5.5.7.3.2' } as const
const USAGE = { digitalSignature: 1, keyCertSign: 32, cRLSign: 64, keyEncipherment: 4 } as const

export interface IssuedCertificate {
  readonly der: Buffer
  /** PEM. */
  readonly certificate: string
  readonly key: string
  readonly thumbprint: string
}

let counter = 0

export class TestAuthority {
  readonly der: Buffer
  readonly keys: KeyPair
  readonly algorithm: AlgorithmName
  readonly subject: string

  private constructor(der: Buffer, keys: KeyPair, algorithm: AlgorithmName, subject: string) {
    this.der = der
    this.keys = keys
    this.algorithm = algorithm
    this.subject = subject
  }

  static async root(shape: Shape = {}): Promise<TestAuthority> {
    return TestAuthority.#make(shape, undefined)
  }

  /** One that this one has signed. */
  intermediate(shape: Shape = {}): Promise<TestAuthority> {
    return TestAuthority.#make(shape, this)
  }

  static async #make(shape: Shape, parent: TestAuthority | undefined): Promise<TestAuthority> {
    const algorithm = shape.keyOf?.algorithm ?? shape.algorithm ?? 'p256'
    const keys = shape.keyOf?.keys ?? (await newKeys(algorithm))
    counter += 1
    const subject = shape.subject ?? `CN=Test authority ${counter}`
    const usages = shape.usages === undefined ? (['keyCertSign', 'cRLSign'] as const) : shape.usages
    const filled = { ca: true, purposes: null, ...shape, subject, usages }
    const signer = parent ?? { keys, subject, algorithm }
    return new TestAuthority(await sign(filled, keys, signer), keys, algorithm, subject)
  }

  /** A workload's certificate, as SPIRE would make it unless the shape says otherwise. */
  async issue(shape: Shape = {}): Promise<IssuedCertificate> {
    const algorithm = shape.algorithm ?? 'p256'
    const keys = shape.keyOf?.keys ?? (await newKeys(algorithm))
    const usages = shape.usages === undefined ? (['digitalSignature'] as const) : shape.usages
    const purposes = shape.purposes === undefined ? Object.values(PURPOSES) : shape.purposes
    const der = await sign({ ca: false, ...shape, usages, purposes, subject: shape.subject ?? 'O=Test' }, keys, this)
    return issued(der, keys)
  }

  get certificate(): string {
    return new X509Certificate(this.der).toString()
  }
}

/** A self-signed certificate that is not an authority. */
export async function selfSigned(shape: Shape = {}): Promise<IssuedCertificate> {
  const keys = await newKeys('p256')
  const subject = shape.subject ?? 'O=Test'
  const filled = {
    ca: false,
    usages: ['digitalSignature'] as const,
    purposes: Object.values(PURPOSES),
    ...shape,
    subject,
  }
  return issued(await sign(filled, keys, { keys, subject, algorithm: 'p256' }), keys)
}

async function newKeys(algorithm: AlgorithmName): Promise<KeyPair> {
  return (await webcrypto.subtle.generateKey(ALGORITHM[algorithm] as never, true, ['sign', 'verify'])) as KeyPair
}

async function issued(der: Buffer, keys: KeyPair): Promise<IssuedCertificate> {
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey as never)).toString('base64')
  const label = 'PRIVATE KEY'
  const key = [`-----BEGIN ${label}-----`, ...(pkcs8.match(/.{1,64}/g) ?? []), `-----END ${label}-----`, ''].join('\n')
  const thumbprint = createHash('sha256').update(der).digest('base64url')
  return { der, certificate: new X509Certificate(der).toString(), key, thumbprint }
}

interface Signer {
  readonly keys: KeyPair
  readonly subject: string
  readonly algorithm: AlgorithmName
}

async function sign(shape: Shape & { subject: string }, keys: KeyPair, signer: Signer): Promise<Buffer> {
  const x509 = await import('@peculiar/x509')
  const now = Date.now()
  counter += 1
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: counter.toString(16).padStart(4, '0'),
    subject: shape.subject,
    issuer: signer.subject,
    notBefore: new Date(now + (shape.from ?? -1) * HOUR_MS),
    notAfter: new Date(now + (shape.until ?? 24) * HOUR_MS),
    signingAlgorithm: ALGORITHM[signer.algorithm] as never,
    publicKey: keys.publicKey as never,
    signingKey: signer.keys.privateKey as never,
    extensions: await extensionsOf(x509, shape, keys, signer),
  })
  return Buffer.from(certificate.rawData)
}

async function extensionsOf(x509: Library, shape: Shape, keys: KeyPair, signer: Signer): Promise<Extension[]> {
  const names = [
    ...(shape.uris ?? []).map((value) => ({ type: 'url', value }) as const),
    ...(shape.dns ?? []).map((value) => ({ type: 'dns', value }) as const),
  ]
  const { ca, usages, purposes } = shape
  const bits = (usages ?? []).reduce((sum, name) => sum | USAGE[name], 0)
  return [
    ...(ca === null || ca === undefined ? [] : [new x509.BasicConstraintsExtension(ca, shape.pathLength, true)]),
    ...(usages == null ? [] : [new x509.KeyUsagesExtension(bits, shape.usagesCritical ?? true)]),
    ...(purposes == null ? [] : [new x509.ExtendedKeyUsageExtension([...purposes], false)]),
    ...(names.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(names)]),
    ...(shape.constraints === undefined
      ? []
      : [new x509.Extension('2.5.29.30', true, nameConstraints(shape.constraints) as never)]),
    ...(shape.withoutKeyIds === true
      ? []
      : [
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey as never),
          await x509.AuthorityKeyIdentifierExtension.create(signer.keys.publicKey as never),
        ]),
    ...(shape.extra ?? []).map(
      ({ oid, critical, value }) => new x509.Extension(oid, critical, (value ?? Buffer.from('0500', 'hex')) as never),
    ),
  ]
}

/** DER of one element. */
export function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const length =
    content.length < 0x80
      ? [content.length]
      : content.length < 0x100
        ? [0x81, content.length]
        : [0x82, content.length >> 8, content.length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}

function nameConstraints({ permitted = [], excluded = [] }: Constraints): Buffer {
  const trees = (list: readonly (readonly [number, string])[]) =>
    list.map(([tag, value]) => der(0x30, der(tag, Buffer.from(value, 'latin1'))))
  return der(
    0x30,
    ...(permitted.length === 0 ? [] : [der(0xa0, ...trees(permitted))]),
    ...(excluded.length === 0 ? [] : [der(0xa1, ...trees(excluded))]),
  )
}
