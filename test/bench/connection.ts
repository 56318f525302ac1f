/**
 * One keep-alive connection that asks and waits: as little HTTP/1.1 as the systems under test answer with, so that the load
 * generator costs less than what it measures.
 */
import { connect, type Socket } from 'node:net'

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export interface Peer {
  readonly port: number
  /** The address to come from: `127.0.0.x` makes a source of its own. */
  readonly localAddress?: string
}

export class Connection {
  readonly #socket: Socket
  #received = ''
  #waiting: { resolve: (answer: HttpAnswer) => void; reject: (fault: Error) => void } | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    socket.on('data', (text: string) => this.#take(text))
    socket.on('error', (fault) => this.#fail(fault))
    socket.on('close', () => this.#fail(new Error('the connection was closed')))
  }

  static open(peer: Peer): Promise<Connection> {
    const { port, localAddress } = peer
    const options = localAddress === undefined ? {} : { localAddress }
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ...options })
      socket.once('error', reject)
      socket.once('connect', () => {
        socket.off('error', reject)
        resolve(new Connection(socket))
      })
    })
  }

  /** One request after the other. @param request its head and body */
  ask(request: string): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) return reject(new Error('the connection was closed'))
      this.#waiting = { resolve, reject }
      this.#socket.write(request, 'latin1')
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(text: string): void {
    this.#received += text
    const answer = parseAnswer(this.#received)
    if (answer === undefined) return
    const waiting = this.#waiting
    this.#received = ''
    this.#waiting = undefined
    waiting?.resolve(answer)
  }

  #fail(fault: Error): void {
    this.#waiting?.reject(fault)
    this.#waiting = undefined
  }
}

const LENGTH = /\r\ncontent-length: *([0-9]+)/i
const CHUNKED = /\r\ntransfer-encoding: *chunked/i

/** `undefined`: not all of it has arrived. */
function parseAnswer(text: string): HttpAnswer | undefined {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return undefined
  const head = text.slice(0, end)
  const rest = text.slice(end + 4)
  const status = Number(head.slice(9, 12))
  const length = LENGTH.exec(head)?.[1]
  if (length !== undefined) return rest.length < Number(length) ? undefined : { status, body: rest }
  if (!CHUNKED.test(head)) return { status, body: rest }
  return rest.endsWith('0\r\n\r\n') ? { status, body: joinChunks(rest) } : undefined
}

function joinChunks(text: string): string {
  let body = ''
  let at = 0
  for (;;) {
    const line = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, line), 16)
    if (!(size > 0)) return body
    body += text.slice(line + 2, line + 2 + size)
    at = line + 2 + size + 2
  }
}
