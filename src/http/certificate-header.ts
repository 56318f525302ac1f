/**
 * A client's certificate as a proxy passes it on, in the four headers that proxies write. Strict: what is not exactly one
 * certificate, or one and what it came with, in the form of its header is unreadable, and never half of it believed.
 *
 * | header | who writes it | form |
 * |---|---|---|
 * | `Client-Cert`, `Client-Cert-Chain` | RFC 9440 | byte sequences of structured fields (RFC 8941 §3.3.5) |
 * | `X-Forwarded-Client-Cert` | Envoy, Istio | one element with `Cert` or `Chain`: PEM, percent-encoded |
 * | `ssl-client-cert` | nginx, ingress-nginx | PEM, percent-encoded |
 * | `x-amzn-mtls-clientcert` | AWS ALB, pass-through | PEM of the chain, percent-encoded |
 *
 * Does not validate: the certificates (`x509/`), nor who sent the header (`client-certificate.ts`).
 */
import { X509_PRESENTED_MAX } from '../kernel/limits.ts'

export const CERTIFICATE_HEADERS = [
  'client-cert',
  'x-forwarded-client-cert',
  'ssl-client-cert',
  'x-amzn-mtls-clientcert',
] as const
export type CertificateHeader = (typeof CERTIFICATE_HEADERS)[number]

/** DER, the client's own first; `unreadable`: something else is there. */
export type PassedCertificates = readonly Buffer[] | 'unreadable'

/**
 * @param text the header's value, all of its values where it was sent more than once
 * @param chain of `Client-Cert-Chain`, which belongs to `client-cert` alone
 * @returns `undefined`: nothing, which is what proxies write for a client without a certificate
 */
export function readCertificateHeader(
  name: CertificateHeader,
  text: string | undefined,
  chain: string | undefined,
): PassedCertificates | undefined {
  const isEmpty = text === undefined || text.trim() === ''
  if (name === 'client-cert') {
    if (isEmpty) return chain === undefined ? undefined : 'unreadable'
    return bounded(clientCert(text, chain))
  }
  if (isEmpty) return undefined
  return bounded(name === 'x-forwarded-client-cert' ? forwardedElement(text) : escapedPem(text))
}

function bounded(certificates: readonly Buffer[] | undefined): PassedCertificates {
  const isOne = certificates !== undefined && certificates.length > 0 && certificates.length <= X509_PRESENTED_MAX
  return isOne ? certificates : 'unreadable'
}

/** RFC 9440 §2.2 and §2.3: the client's certificate is no member of the chain; neither has parameters. */
function clientCert(text: string, chain: string | undefined): readonly Buffer[] | undefined {
  const items = [text, ...(chain === undefined ? [] : chain.split(','))].map(byteSequence)
  return items.every((item) => item !== undefined) ? items : undefined
}

function byteSequence(text: string): Buffer | undefined {
  const [, base64] = /^[ \t]*:([A-Za-z0-9+/=]+):[ \t]*$/.exec(text) ?? []
  return base64 === undefined ? undefined : canonicalBase64(base64)
}

/** One spelling, so that nobody reads other bytes from it. */
function canonicalBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length > 0 && bytes.toString('base64') === text ? bytes : undefined
}

/** `;` between pairs, and `"` around values that hold one; a `,` outside of quotes would begin another proxy's element. */
const PAIR = /^[ \t]*([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;]*))[ \t]*(;|$)/

function forwardedElement(text: string): readonly Buffer[] | undefined {
  const found = new Map<string, string>()
  for (let rest = text; rest !== ''; ) {
    const [whole, key = '', quoted, plain = '', end] = PAIR.exec(rest) ?? []
    if (whole === undefined || (end === ';') !== whole.length < rest.length) return undefined
    rest = rest.slice(whole.length)
    const name = key.toLowerCase()
    if (name !== 'cert' && name !== 'chain') continue
    if (found.has(name)) return undefined
    found.set(name, quoted ?? plain)
  }
  const [cert, chain] = [found.get('cert'), found.get('chain')]
  const own = cert === undefined ? undefined : escapedPem(cert)
  if (chain === undefined) return own?.length === 1 ? own : undefined
  const all = escapedPem(chain)
  // The chain begins with the client's own: two certificates that differ are two clients.
  const isAgreed =
    cert === undefined || (own?.length === 1 && all?.[0] !== undefined && own[0]?.equals(all[0]) === true)
  return isAgreed ? all : undefined
}

const PEM = /^-----BEGIN CERTIFICATE-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n-----END CERTIFICATE-----(?:\r?\n)*/

function escapedPem(text: string): readonly Buffer[] | undefined {
  const certificates: Buffer[] = []
  for (let rest = unescaped(text); rest !== ''; ) {
    const [whole, lines] = PEM.exec(rest) ?? []
    const der = lines === undefined ? undefined : canonicalBase64(lines.replaceAll(/[\r\n]/g, ''))
    if (whole === undefined || der === undefined) return undefined
    certificates.push(der)
    rest = rest.slice(whole.length)
  }
  return certificates
}

/** Percent-encoding alone: a `+` is a `+` of base64 here and no space. */
function unescaped(text: string): string {
  try {
    return decodeURIComponent(text.trim())
  } catch {
    return 'not percent-encoded'
  }
}
