/** The socket: bounded in time and number on the way in, and drained on the way out. */
import type { AddressInfo } from 'node:net'
import { getRequestListener, type HttpBindings, type ServerType } from '@hono/node-server'
import type { Hono } from 'hono'
import {
  CONNECTIONS_MAX,
  CONNECTIONS_PER_PEER_MAX,
  FILES_RESERVED,
  HEADERS_BYTES_MAX,
  HEADERS_TIMEOUT_MS,
  REQUEST_TIMEOUT_MS,
  SOCKET_SILENCE_MS_MAX,
  TIMEOUT_CHECK_MS,
} from '../kernel/limits.ts'
import { SHUTDOWN_GRACE_MS, SHUTDOWN_POLL_MS } from '../kernel/process-limits.ts'
import type { RejectionReason } from '../kernel/rejection.ts'
import { answerExpectations, boundConnections, type ConnectionBounds } from './connections.ts'
import { normaliseHead } from './request-head.ts'
import { createHttpServer, replaceCertificate, type TlsMaterial } from './tls.ts'
import type { TurnAway } from './turned-away.ts'

export interface Listening {
  readonly port: number
  /** Stops accepting, lets requests in flight finish, then closes what answered them. */
  stop(): Promise<void>
  /** From the next handshake on; connections that are open stay open. */
  replaceCertificate(material: TlsMaterial): void
}

/** What answers: a broker. */
export interface Answering {
  readonly app: { readonly fetch: Hono['fetch'] }
  /** Looks at every request first. Absent: nobody does. */
  readonly turnAway?: TurnAway
  /** Counts bytes that became no request, by the address they came from. */
  countUnread(reason: RejectionReason, peer: string): void
  /** From here on it is not ready for more. */
  readonly readiness: { stop(): void }
  /** What would never end by itself. */
  endStreams(): void
  close(): Promise<void>
}

export interface ListenAddress {
  readonly host: string
  /** 0: any free one. */
  readonly port: number
  /** Absent: plain http. */
  readonly tls?: TlsMaterial
}

export interface ListenerBounds extends ConnectionBounds {
  /** From the first byte to the end of the headers, and to the end of the body. */
  readonly headersMs: number
  readonly requestMs: number
  /** How often the two are looked at. */
  readonly checkMs: number
}

const BOUNDS: ListenerBounds = {
  connections: CONNECTIONS_MAX,
  connectionsPerPeer: CONNECTIONS_PER_PEER_MAX,
  headersMs: HEADERS_TIMEOUT_MS,
  requestMs: REQUEST_TIMEOUT_MS,
  checkMs: TIMEOUT_CHECK_MS,
}

/**
 * Connections that leave room for everything else a process opens: out of descriptors it could read neither keys nor lock, nor
 * reach its store. Those that arrive together are open for a moment before they are counted.
 * @param files that it may have open; `undefined`: any number
 */
export function boundsWithin(files: number | undefined): ListenerBounds {
  if (files === undefined) return BOUNDS
  const connections = Math.min(CONNECTIONS_MAX, files - Math.min(FILES_RESERVED, Math.ceil(files / 2)))
  return { ...BOUNDS, connections, connectionsPerPeer: Math.min(CONNECTIONS_PER_PEER_MAX, Math.ceil(connections / 2)) }
}

export function listen(broker: Answering, address: ListenAddress, bounds: ListenerBounds = BOUNDS): Promise<Listening> {
  return new Promise((resolve, reject) => {
    const serverOptions = {
      headersTimeout: bounds.headersMs,
      requestTimeout: bounds.requestMs,
      connectionsCheckingInterval: bounds.checkMs,
      maxHeaderSize: HEADERS_BYTES_MAX,
      insecureHTTPParser: false,
      // A missing Host is answered like any other that is not in order.
      requireHostHeader: false,
    }
    const { host: hostname, port, tls } = address
    // Node's own two minutes for a handshake would be a longer wait than any that is bounded here.
    const handshakeTimeout = bounds.headersMs
    const route = getRequestListener(broker.app.fetch, { hostname })
    const answer = (incoming: HttpBindings['incoming'], outgoing: HttpBindings['outgoing']) => {
      if (broker.turnAway?.(incoming, outgoing) !== true) void route(incoming, outgoing)
    }
    const server = createHttpServer(tls, { ...serverOptions, handshakeTimeout }, answer)
    server.once('error', reject)
    server.listen(port, hostname, () => {
      server.off('error', reject)
      const taken = (server.address() as AddressInfo).port
      resolve({ port: taken, stop, replaceCertificate: (material) => replaceCertificate(server, material) })
    })
    // A client that does not read its answer holds it no longer than this.
    server.setTimeout(SOCKET_SILENCE_MS_MAX)
    boundConnections(server, bounds, (reason, peer) => broker.countUnread(reason, peer))
    answerExpectations(server)
    let stopping = false
    server.prependListener('request', (request, response) => {
      // What follows a head that is not in order may be read in two ways; and whoever keeps a connection and asks again
      // while we stop is answered, and told that this was the last time.
      if (!normaliseHead(request) || stopping) response.setHeader('Connection', 'close')
    })
    const stop = async () => {
      stopping = true
      broker.readiness.stop()
      broker.endStreams()
      await closed(server)
      await broker.close()
    }
  })
}

async function closed(server: ServerType): Promise<void> {
  const whenClosed = new Promise<void>((done) => server.close(() => done()))
  // Again and again: a connection whose last answer has just been sent would hold us up for its keep-alive time.
  const closeIdle = () => 'closeIdleConnections' in server && server.closeIdleConnections()
  closeIdle()
  const idle = setInterval(closeIdle, SHUTDOWN_POLL_MS)
  const grace = setTimeout(() => 'closeAllConnections' in server && server.closeAllConnections(), SHUTDOWN_GRACE_MS)
  await whenClosed
  clearInterval(idle)
  clearTimeout(grace)
}
