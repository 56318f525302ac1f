/** Certificates made on the spot, for tests that speak real TLS: an authority, and what it signs. Written to files 0600. */
import { webcrypto } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import '../../src/x509/reflect-metadata.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const DAY_MS = 24 * 3600 * 1000

export interface Authority {
  /** PEM. */
  readonly certificate: string
  issue(request: CertificateRequest): Promise<Issued>
}

export interface CertificateRequest {
  readonly names?: readonly string[]
  readonly days?: number
  /** Days ago it began. */
  readonly since?: number
}

export interface Issued {
  readonly certificate: string
  readonly key: string
}

export async function makeAuthority(): Promise<Authority> {
  // After the line above has run: static imports of packages come before those of files.
  const x509 = await import('@peculiar/x509')
  const crypto = webcrypto
  x509.cryptoProvider.set(crypto as never)
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const own = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Test authority',
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + 30 * DAY_MS),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  })
  return {
    certificate: own.toString('pem'),
    async issue({ names = ['127.0.0.1', 'localhost'], days = 30, since = 1 }) {
      const pair = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
      const alternatives = names.map((value) => ({ type: /^[\d.]+$/.test(value) ? 'ip' : 'dns', value }) as const)
      const certificate = await x509.X509CertificateGenerator.create({
        subject: `CN=${names[0]}`,
        issuer: own.subject,
        notBefore: new Date(Date.now() - since * DAY_MS),
        notAfter: new Date(Date.now() + days * DAY_MS),
        signingAlgorithm: ALGORITHM,
        publicKey: pair.publicKey,
        signingKey: keys.privateKey,
        extensions: [new x509.SubjectAlternativeNameExtension([...alternatives])],
      })
      const der = Buffer.from(await crypto.subtle.exportKey('pkcs8', pair.privateKey)).toString('base64')
      const lines = der.match(/.{1,64}/g) ?? []
      const label = 'PRIVATE KEY'
      const key = [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
      return { certificate: certificate.toString('pem'), key }
    },
  }
}

export interface WrittenCertificate {
  readonly certificateFile: string
  readonly keyFile: string
}

export function writeCertificate(directory: string, issued: Issued, name = 'tls'): WrittenCertificate {
  const certificateFile = join(directory, `${name}.crt`)
  const keyFile = join(directory, `${name}.key`)
  writeFileSync(certificateFile, issued.certificate, { mode: 0o644 })
  writeFileSync(keyFile, issued.key, { mode: 0o600 })
  return { certificateFile, keyFile }
}
