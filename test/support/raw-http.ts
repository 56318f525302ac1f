/**
 * A broker on a real socket, and bytes sent to it as they are: what no HTTP client would send, and what comes back, byte by
 * byte.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type ListenerBounds, type Listening, listen } from '../../src/http/listener.ts'
import type { TlsMaterial } from '../../src/http/tls.ts'
import { PATIENCE_MS } from './patience.ts'
import type { World } from './world.ts'

/** Wide where a test does not narrow them. */
const BOUNDS: ListenerBounds = {
  connections: 1_000,
  connectionsPerPeer: 1_000,
  headersMs: 5_000,
  requestMs: 5_000,
  checkMs: 50,
}

export function listenTo(world: World, bounds: Partial<ListenerBounds> = {}, tls?: TlsMaterial): Promise<Listening> {
  // What it answers is not its own to close: the world closes it.
  const answering = {
    app: world.broker.app,
    turnAway: world.broker.turnAway,
    countUnread: world.broker.countUnread.bind(world.broker),
    readiness: { stop: () => undefined },
    endStreams: () => undefined,
    close: async () => undefined,
  }
  const address = { host: '127.0.0.1', port: 0, ...(tls === undefined ? {} : { tls }) }
  return listen(answering, address, { ...BOUNDS, ...bounds })
}

export interface WireAnswer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of many shapes
  readonly body: any
}

export interface Conversation {
  readonly answers: readonly WireAnswer[]
  /** The broker ended the connection. */
  readonly closed: boolean
  readonly raw: string
}

/** One connection from one address. */
export class Wire {
  readonly socket: Socket
  #received = ''
  #closed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => {
      this.#received += bytes.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#closed = true
    })
    socket.on('end', () => {
      this.#closed = true
    })
  }

  static open(port: number, localAddress = '127.0.0.1'): Promise<Wire> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress }, () => {
        socket.off('error', reject)
        resolve(new Wire(socket))
      })
      socket.once('error', reject)
    })
  }

  get closed(): boolean {
    return this.#closed
  }

  get received(): string {
    return this.#received
  }

  send(bytes: string | Uint8Array): void {
    if (!this.socket.destroyed) this.socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
  }

  /** Waits until so many answers are there, or the other end has closed. @throws after `withinMs` */
  async answers(count: number, withinMs = PATIENCE_MS): Promise<Conversation> {
    const until = performance.now() + withinMs
    for (;;) {
      const answers = parseAnswers(this.#received)
      if (answers.length >= count || this.#closed) return { answers, closed: this.#closed, raw: this.#received }
      if (performance.now() > until) throw new Error(`${answers.length} of ${count} answers within ${withinMs} ms`)
      await sleep(5)
    }
  }

  /** Everything until the other end closes. @throws after `withinMs` */
  ended(withinMs = PATIENCE_MS): Promise<Conversation> {
    return this.answers(Number.POSITIVE_INFINITY, withinMs)
  }

  close(): void {
    this.socket.destroy()
  }
}

/** One connection: sends, and gives what came back once so many answers are there or it was closed. */
export async function converse(port: number, bytes: string | Uint8Array, answers = 1): Promise<Conversation> {
  const wire = await Wire.open(port)
  try {
    wire.send(bytes)
    return await wire.answers(answers)
  } finally {
    wire.close()
  }
}

/** Whole answers only, as a client with one way of reading sees them. */
function parseAnswers(raw: string): readonly WireAnswer[] {
  const answers: WireAnswer[] = []
  let rest = raw
  for (;;) {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) return answers
    const [line = '', ...fields] = rest.slice(0, end).split('\r\n')
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(line)?.[1])
    if (Number.isNaN(status)) throw new Error('not an HTTP answer')
    rest = rest.slice(end + 4)
    if (status === 100) continue
    const headers = new Headers(fields.map((field): [string, string] => split(field)))
    const length = Number(headers.get('content-length') ?? '0')
    if (rest.length < length && headers.has('content-length')) return answers
    const text = Buffer.from(rest.slice(0, length), 'latin1').toString()
    rest = rest.slice(length)
    answers.push({ status, headers, text, body: text.startsWith('{') ? JSON.parse(text) : undefined })
  }
}

function split(field: string): [string, string] {
  const colon = field.indexOf(':')
  return [field.slice(0, colon), field.slice(colon + 1).trim()]
}
