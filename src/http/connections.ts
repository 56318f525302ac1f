/**
 * Connections, before any of them is a request: bounded in number and in time, and answered once where what arrives is no
 * HTTP at all. Whoever holds connections open without asking gives way to whoever comes after; bytes that cannot be read
 * end their connection, because what follows them could be read in two ways (request smuggling, RFC 9112 §11.2).
 */
import type { Socket } from 'node:net'
import type { ServerType } from '@hono/node-server'
import { BODY_BYTES_MAX, PIPELINED_REQUESTS_MAX } from '../kernel/limits.ts'
import { Rejection, type RejectionReason } from '../kernel/rejection.ts'
import { WIRE } from './rejection-map.ts'
import { UNREADABLE_PATH } from './request-head.ts'

/** As many of them, and no more, as there are. */
export interface ConnectionBounds {
  readonly connections: number
  /** Of one address. */
  readonly connectionsPerPeer: number
}

/** A request and its answer, as far as they are looked at here. */
interface Incoming {
  readonly socket: Socket
  readonly complete: boolean
  readonly headers: { readonly 'content-length'?: string | undefined }
  url?: string | undefined
}
interface Outgoing {
  writeContinue(): void
  readonly headersSent: boolean
  setHeader(name: string, value: string): unknown
  once(event: 'close', listener: () => void): unknown
}

interface Exchange {
  readonly incoming: Incoming
  readonly outgoing: Outgoing
}

interface Connection {
  readonly socket: Socket
  readonly peer: string
  /** Asked and not yet answered, in the order they will be. */
  readonly pending: Set<Exchange>
}

/** @param onUnread is told why nothing of a connection's bytes became a request, and whose they were */
export function boundConnections(
  server: ServerType,
  bounds: ConnectionBounds,
  onUnread: (reason: RejectionReason, peer: string) => void,
): void {
  /** By address and port of the other end, oldest first: under TLS a request's socket is not the one that was accepted. */
  const open = new Map<string, Connection>()
  const perPeer = new Map<string, number>()
  const emitter = server as unknown as Listening

  const forget = (key: string, connection: Connection) => {
    if (open.get(key) !== connection) return
    open.delete(key)
    const left = (perPeer.get(connection.peer) ?? 1) - 1
    if (left === 0) perPeer.delete(connection.peer)
    else perPeer.set(connection.peer, left)
  }

  emitter.on('connection', (socket) => {
    const [key, peer] = [keyOf(socket), socket.remoteAddress ?? 'unknown']
    const ofPeer = perPeer.get(peer) ?? 0
    const crowded = ofPeer >= bounds.connectionsPerPeer
    if (crowded || open.size >= bounds.connections) {
      const waiting = oldestWaiting(open, crowded ? peer : undefined)
      // Every one of them is being answered: then it is the newcomer who has to come again.
      ;(waiting ?? socket).destroy()
      onUnread('connections_exceeded', peer)
      if (waiting === undefined) return
    }
    const connection: Connection = { socket, peer, pending: new Set() }
    open.set(key, connection)
    perPeer.set(peer, ofPeer + 1)
    socket.once('close', () => forget(key, connection))
  })

  emitter.prependListener('request', (incoming, outgoing) => {
    const exchange = { incoming, outgoing }
    const pending = open.get(keyOf(incoming.socket))?.pending
    pending?.add(exchange)
    outgoing.once('close', () => pending?.delete(exchange))
    // One connection must not put a thousand requests to work before the first is answered.
    if ((pending?.size ?? 0) <= PIPELINED_REQUESTS_MAX) return
    incoming.url = UNREADABLE_PATH
    outgoing.setHeader('Connection', 'close')
  })

  const refuse = (code: string | undefined, socket: Socket) => {
    const [first] = open.get(keyOf(socket))?.pending ?? []
    const reason = refuseUnread(code, socket, first)
    if (reason !== undefined) onUnread(reason, socket.remoteAddress ?? 'unknown')
  }
  emitter.on('clientError', (fault, socket) => refuse(fault.code, socket))
  emitter.on('connect', (_incoming, socket) => refuse(undefined, socket))
}

/**
 * @param first the exchange that is answered next on this socket
 * @returns what to count, unless the request that is at work is counted by its handler
 */
function refuseUnread(
  code: string | undefined,
  socket: Socket,
  first: Exchange | undefined,
): RejectionReason | undefined {
  const rejection = unread(code)
  const isGone = GONE.includes(code)
  // A TLS handshake that failed leaves nothing to answer through.
  const isHttp = code === undefined || /^(?:HPE_|ERR_HTTP_)/.test(code)
  if (isGone || !isHttp || !socket.writable || first?.outgoing.headersSent === true) {
    socket.destroy()
    return isGone || isHttp ? undefined : rejection.reason
  }
  // An earlier request is still being answered: this would be taken for its answer. It gets its own, and is the last.
  if (first?.incoming.complete === true) {
    first.outgoing.setHeader('Connection', 'close')
    return undefined
  }
  socket.end(answerText(rejection), () => socket.destroy())
  return first === undefined ? rejection.reason : undefined
}

/** Nobody is asked to go on sending what will be refused; an expectation that nobody knows is none (RFC 9110 §10.1.1). */
export function answerExpectations(server: ServerType): void {
  const emitter = server as unknown as Listening
  emitter.on('checkContinue', (incoming, outgoing) => {
    if (Number(incoming.headers['content-length'] ?? '0') <= BODY_BYTES_MAX) outgoing.writeContinue()
    emitter.emit('request', incoming, outgoing)
  })
  emitter.on('checkExpectation', (incoming, outgoing) => emitter.emit('request', incoming, outgoing))
}

/** Node's codes for an other end that went away. */
const GONE: readonly (string | undefined)[] = ['ECONNRESET', 'HPE_INVALID_EOF_STATE']

/** What is used of a server, whichever kind it is. */
interface Listening {
  on(event: 'connection', listener: (socket: Socket) => void): unknown
  on(event: 'connect', listener: (incoming: Incoming, socket: Socket) => void): unknown
  on(event: 'checkContinue' | 'checkExpectation', listener: (incoming: Incoming, outgoing: Outgoing) => void): unknown
  on(event: 'clientError', listener: (fault: { readonly code?: string }, socket: Socket) => void): unknown
  emit(event: 'request', incoming: Incoming, outgoing: Outgoing): unknown
  prependListener(event: 'request', listener: (incoming: Incoming, outgoing: Outgoing) => void): unknown
}

function keyOf(socket: Socket): string {
  return `${socket.remoteAddress} ${socket.remotePort}`
}

/** The connection that has been without a whole request for longest. */
function oldestWaiting(open: ReadonlyMap<string, Connection>, peer: string | undefined): Socket | undefined {
  for (const connection of open.values()) {
    if (peer !== undefined && connection.peer !== peer) continue
    if ([...connection.pending].every(({ incoming }) => !incoming.complete)) return connection.socket
  }
  return undefined
}

/** Node's codes; its messages show what was sent. */
function unread(code: string | undefined): Rejection {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT' || code === 'ERR_TLS_HANDSHAKE_TIMEOUT')
    return new Rejection('request_timeout', 'the request did not arrive in time')
  if (code === 'HPE_HEADER_OVERFLOW') return new Rejection('headers_too_large', 'the headers exceed their limit')
  return new Rejection('request_malformed', 'this is not an HTTP/1.1 request')
}

function answerText({ reason, message }: Rejection): string {
  const { status, error } = WIRE[reason]
  const body = JSON.stringify({ error, error_description: message })
  const head = [
    `HTTP/1.1 ${status} Refused`,
    'Content-Type: application/json',
    'Cache-Control: no-store',
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ]
  return `${head.join('\r\n')}\r\n\r\n${body}`
}
