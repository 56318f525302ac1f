/** Certificates and the headers that proxies write them in: our reading against the library's, wherever both can read. */
import '../../src/x509/reflect-metadata.ts'
import {
  CERTIFICATE_HEADERS,
  type CertificateHeader,
  readCertificateHeader,
} from '../../src/http/certificate-header.ts'
import { X509_PRESENTED_MAX } from '../../src/kernel/limits.ts'
import { decodeCertificate } from '../../src/x509/certificate.ts'
import { CertificateError } from '../../src/x509/certificate-error.ts'
import { readSvid } from '../../src/x509/svid.ts'
import { NAME, TestAuthority } from '../support/authorities.ts'
import { OracleError, type Target } from './harness.ts'

const library = await import('@peculiar/x509')
const uris = ['spiffe://example.org/agent']
const authority = await TestAuthority.root({
  uris: ['spiffe://example.org'],
  pathLength: 2,
  constraints: { permitted: [[NAME.uri, 'example.org']], excluded: [[NAME.dns, 'evil.example']] },
})
const own = await authority.issue({ uris, dns: ['agent.example.org'], extra: [{ oid: '1.2.3.4', critical: false }] })
const bytes = (der: Buffer) => der.toString('latin1')

const isCertificateError = (error: unknown) => error instanceof CertificateError

function compare(input: string): void {
  const der = Buffer.from(input, 'latin1')
  const mine = decodeCertificate(der)
  const theirs = readByLibrary(der)
  if (theirs === undefined) return
  const names = mine.alternativeNames.filter(({ form }) => form === 'uri').map(({ value }) => value)
  const read = [mine.notBefore, mine.notAfter, mine.isCa, mine.pathLength ?? null, names]
  if (JSON.stringify(read) !== JSON.stringify(theirs))
    throw new OracleError(`${JSON.stringify(read)} is read as ${JSON.stringify(theirs)}`)
}

function readByLibrary(der: Buffer): readonly unknown[] | undefined {
  try {
    const certificate = new library.X509Certificate(der)
    const basic = certificate.getExtension(library.BasicConstraintsExtension)
    const names = certificate.getExtension(library.SubjectAlternativeNameExtension)?.names.items ?? []
    return [
      certificate.notBefore.getTime() / 1000,
      certificate.notAfter.getTime() / 1000,
      basic?.ca ?? false,
      basic?.pathLength ?? null,
      names.filter(({ type }) => type === 'url').map(({ value }) => value),
    ]
  } catch {
    return undefined
  }
}

const escaped = encodeURIComponent(own.certificate)
const chain = encodeURIComponent(own.certificate + authority.certificate)
const HEADERS: Readonly<Record<CertificateHeader, readonly string[]>> = {
  'client-cert': [`:${own.der.toString('base64')}:`, ':AAAA:'],
  'x-forwarded-client-cert': [
    `By=spiffe://a/b;Hash=00;Cert="${escaped}";Subject="CN=\\"a\\"";URI=spiffe://a/c`,
    `Cert="${escaped}";Chain="${chain}"`,
  ],
  'ssl-client-cert': [escaped],
  'x-amzn-mtls-clientcert': [chain],
}

const headerTarget = (name: CertificateHeader): Target => ({
  name,
  corpus: HEADERS[name],
  isRefusal: () => false,
  run: (input) => {
    const read = readCertificateHeader(name, input, undefined)
    if (read === undefined && input.trim() !== '') throw new OracleError('something is read as nothing')
    if (read === undefined || read === 'unreadable') return
    if (read.length === 0 || read.length > X509_PRESENTED_MAX) throw new OracleError('none, or too many')
    // What two proxies have written, one behind the other, is never one client's.
    if (readCertificateHeader(name, `${input}, ${input}`, undefined) !== 'unreadable')
      throw new OracleError('two are one')
  },
  growth: [
    (times) => `${'Cert="a";'.repeat(times / 9)}`,
    (times) => `"${'\\"'.repeat(times / 2)}`,
    (times) => '%0A'.repeat(times / 3),
  ],
})

export const CERTIFICATE_TARGETS: readonly Target[] = [
  {
    name: 'certificate',
    corpus: [bytes(own.der), bytes(authority.der)],
    isRefusal: isCertificateError,
    run: compare,
  },
  {
    name: 'x509-svid',
    corpus: [bytes(own.der)],
    isRefusal: isCertificateError,
    run: (input) => {
      const { leaf, spiffeId } = readSvid([Buffer.from(input, 'latin1')])
      if (leaf.isCa || spiffeId.path === '') throw new OracleError('an authority is a workload')
    },
  },
  {
    name: 'client-cert-chain',
    corpus: [`:${own.der.toString('base64')}:, :${authority.der.toString('base64')}:`],
    isRefusal: () => false,
    run: (input) => {
      const read = readCertificateHeader('client-cert', ':AAAA:', input)
      if (read === undefined || (read !== 'unreadable' && read.length < 2)) throw new OracleError('a chain is lost')
    },
  },
  ...CERTIFICATE_HEADERS.map(headerTarget),
]
