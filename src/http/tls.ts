/**
 * TLS of the broker's own: version 1.2 or later, forward-secret ciphers with authentication only (RFC 9325 §4.2).
 *
 * Where clients are asked for certificates, the handshake proves that they hold the key, and nobody vouches for them yet: no
 * authority is listed, the runtime's public ones least of all, and whether one is needed is decided per request.
 */
import { constants } from 'node:crypto'
import { createServer as createPlain, type Server as PlainServer, type RequestListener } from 'node:http'
import { createServer, type Server, type ServerOptions } from 'node:https'
import type { ServerType } from '@hono/node-server'

export interface TlsMaterial {
  /** PEM: the broker's own certificate first, then intermediates. */
  readonly certificate: string
  readonly key: string
  /** Whether clients are asked for theirs; none need have one. */
  readonly asksForCertificates?: boolean
}

/** For version 1.2; all of version 1.3's are of this kind. */
const CIPHERS = [
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/**
 * A resumed session would bring the client's own certificate without those it came with, and a renegotiated one could bring
 * another in the middle of a connection: neither is offered where certificates are asked for.
 */
const ASKING = { ca: [], secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION }

function secureContext({ certificate, key, asksForCertificates }: TlsMaterial) {
  const plain = { cert: certificate, key, minVersion: 'TLSv1.2', ciphers: CIPHERS, honorCipherOrder: true } as const
  return asksForCertificates === true ? { ...plain, ...ASKING } : plain
}

/** @param material `undefined`: plain http */
export function createHttpServer(
  material: TlsMaterial | undefined,
  options: ServerOptions,
  answer: RequestListener,
): PlainServer | Server {
  if (material === undefined) return createPlain(options, answer)
  const asking = material.asksForCertificates === true ? { requestCert: true, rejectUnauthorized: false } : {}
  return createServer({ ...options, ...asking, ...secureContext(material) }, answer)
}

/** From the next handshake on; connections that are open stay open. */
export function replaceCertificate(server: ServerType, material: TlsMaterial): void {
  if ('setSecureContext' in server) server.setSecureContext(secureContext(material))
}
