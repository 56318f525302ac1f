/**
 * `/metrics`, on a socket of its own: never a route of the broker, so that no stranger who reaches the broker reaches it.
 * Beyond this machine it asks for a bearer token, which the configuration insists on.
 */
import { timingSafeEqual } from 'node:crypto'
import { serve } from '@hono/node-server'
import { sha256 } from '../kernel/digest.ts'
import { HEADERS_TIMEOUT_MS, REQUEST_TIMEOUT_MS, TIMEOUT_CHECK_MS } from '../kernel/limits.ts'
import type { Secret } from '../kernel/secret.ts'
import type { BrokerMetrics } from '../operate/metrics.ts'
import { CLASSIC_TYPE, OPENMETRICS_TYPE, wantsOpenMetrics } from '../operate/metrics-text.ts'

export type MetricsTexts = Pick<BrokerMetrics, 'text' | 'openMetrics'>

export interface MetricsAddress {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Who asks must send it as bearer token; `undefined`: whoever reaches the socket may read. */
  readonly token: Secret | undefined
}

export interface MetricsListening {
  readonly port: number
  stop(): Promise<void>
}

export function listenForMetrics(address: MetricsAddress, texts: MetricsTexts): Promise<MetricsListening> {
  const answer = async (request: Request): Promise<Response> => {
    if (new URL(request.url).pathname !== '/metrics') return new Response('not found\n', { status: 404 })
    if (request.method !== 'GET') return new Response('GET only\n', { status: 405, headers: { Allow: 'GET' } })
    if (!mayRead(request, address.token)) {
      return new Response('unauthorized\n', { status: 401, headers: { 'WWW-Authenticate': 'Bearer' } })
    }
    const isOpen = wantsOpenMetrics(request.headers.get('accept'))
    const headers = { 'Content-Type': isOpen ? OPENMETRICS_TYPE : CLASSIC_TYPE, Vary: 'Accept' }
    return new Response(await (isOpen ? texts.openMetrics() : texts.text()), { headers })
  }
  return new Promise((resolve, reject) => {
    const serverOptions = {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
    }
    const options = { fetch: answer, hostname: address.host, port: address.port, serverOptions }
    const server = serve(options, (info) => {
      server.off('error', reject)
      resolve({ port: info.port, stop })
    })
    server.once('error', reject)
    server.setTimeout(REQUEST_TIMEOUT_MS)
    const stop = () =>
      new Promise<void>((done) => {
        server.close(() => done())
        if ('closeAllConnections' in server) server.closeAllConnections()
      })
  })
}

/** Digests of equal length are compared, in constant time. */
function mayRead(request: Request, token: Secret | undefined): boolean {
  if (token === undefined) return true
  const sent = Buffer.from(sha256(request.headers.get('authorization') ?? ''))
  return timingSafeEqual(sent, Buffer.from(sha256(`Bearer ${token.reveal()}`)))
}
