/** TLS of the broker's own: version 1.2 or later, forward-secret ciphers with authentication only (RFC 9325 §4.2). */
import { createServer, type ServerOptions } from 'node:https'
import type { ServerType } from '@hono/node-server'

export interface TlsMaterial {
  /** PEM: the broker's own certificate first, then intermediates. */
  readonly certificate: string
  readonly key: string
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

function secureContext({ certificate, key }: TlsMaterial) {
  return { cert: certificate, key, minVersion: 'TLSv1.2', ciphers: CIPHERS, honorCipherOrder: true } as const
}

/** What `serve` of the HTTP adapter takes to speak TLS. */
export function tlsServer(
  material: TlsMaterial,
  options: ServerOptions,
): { readonly createServer: typeof createServer; readonly serverOptions: ServerOptions } {
  return { createServer, serverOptions: { ...options, ...secureContext(material) } }
}

/** From the next handshake on; connections that are open stay open. */
export function replaceCertificate(server: ServerType, material: TlsMaterial): void {
  if ('setSecureContext' in server) server.setSecureContext(secureContext(material))
}
