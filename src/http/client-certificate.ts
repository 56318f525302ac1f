/**
 * The certificate that a request's client has shown in a TLS handshake: in ours, or in that of a configured proxy. One of the
 * two by configuration, never whichever happens to be there.
 *
 * Guarantees: a header is read only where the socket's peer is a configured proxy; from anybody else it is as if it had not been
 * sent, for everybody can write one. The handshake has proven the key of the first certificate and nothing more: who vouches for
 * it is decided by `credentials/`, never by the runtime's own list of public authorities.
 */
import { TLSSocket } from 'node:tls'
import type { Context } from 'hono'
import { X509_PRESENTED_MAX } from '../kernel/limits.ts'
import type { RequestFacts } from '../model/request-facts.ts'
import { type CertificateHeader, readCertificateHeader } from './certificate-header.ts'
import { headerOf, peerOf, socketOf } from './incoming.ts'
import { networksOf } from './source-address.ts'

/** `tls`: our own listener asks for one; else the header that the configured proxies write. */
export type CertificateSource = 'tls' | CertificateHeader

export type CertificatesOf = (context: Context) => RequestFacts['certificates']

export function certificatesReader(
  source: CertificateSource | undefined,
  trustedProxies: readonly string[],
): CertificatesOf {
  if (source === undefined) return () => undefined
  if (source === 'tls') return shownToUs()
  const isTrusted = networksOf(trustedProxies)
  return (context) => {
    if (!isTrusted(peerOf(context))) return undefined
    const chain = source === 'client-cert' ? headerOf(context, 'client-cert-chain') : undefined
    return readCertificateHeader(source, headerOf(context, source), chain)
  }
}

/** Read once per connection: a handshake is not repeated on it (`tls.ts`). */
function shownToUs(): CertificatesOf {
  const known = new WeakMap<TLSSocket, readonly Buffer[]>()
  return (context) => {
    const socket = socketOf(context)
    if (!(socket instanceof TLSSocket)) return undefined
    const shown = known.get(socket) ?? readSocket(socket)
    known.set(socket, shown)
    return shown.length === 0 ? undefined : shown
  }
}

function readSocket(socket: TLSSocket): readonly Buffer[] {
  const shown: Buffer[] = []
  // One more than anybody accepts, so that too many are too many and not cut off.
  for (let at = socket.getPeerX509Certificate(); at !== undefined; at = at.issuerCertificate) {
    if (shown.push(at.raw) > X509_PRESENTED_MAX) break
  }
  return shown
}
