/**
 * One JSON-RPC message to an MCP server over Streamable HTTP, and the answer to it, as JSON or out of an event stream.
 *
 * Guarantees: https, or http to this machine only; the certificate verified whatever the environment says; no redirect is
 * followed (a token must not go where another server points); one deadline for all messages, and one bound for the sum of what
 * comes back; strict JSON. What the server says is not believed, and never quoted raw.
 */
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { codeOf } from '../../kernel/fault.ts'
import type { Secret } from '../../kernel/secret.ts'
import { EVENT_STREAM } from '../../protocol/revocation-feed.ts'
import { urlProblem } from '../../registry/url-rules.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { decodeObject, type JsonObject } from '../json-fields.ts'

export interface Bounds {
  /** For all messages together. */
  readonly bytesMax: number
  readonly timeoutMs: number
}

const BOUNDS: Bounds = { bytesMax: 8 * 1024 * 1024, timeoutMs: 30_000 }

export interface Message {
  readonly method: string
  readonly params?: JsonObject
  /** Absent: a notification, which is not answered. */
  readonly id?: number
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  /** The response to the message; `undefined`: there was none. */
  readonly response: JsonObject | undefined
}

export class McpDoor {
  readonly origin: string
  readonly #url: URL
  readonly #token: Secret | undefined
  readonly #bounds: Bounds
  readonly #deadline: AbortSignal
  #bytes = 0

  /** @param token sent to this URL only. @throws UsageError */
  constructor(url: string, token: Secret | undefined, bounds: Bounds = BOUNDS) {
    const problem = urlProblem(url)
    if (problem !== undefined) throw new UsageError(`the URL of the MCP server ${problem}`)
    this.#url = new URL(url)
    this.origin = this.#url.origin
    this.#token = token
    this.#bounds = bounds
    this.#deadline = AbortSignal.timeout(bounds.timeoutMs)
  }

  /** @throws CommandFailure */
  async post(message: Message, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const text = JSON.stringify({ jsonrpc: '2.0', ...message })
    const incoming = await this.#reaching(() => this.#send('POST', headers, text))
    const status = incoming.statusCode ?? 0
    try {
      if (status >= 300 && status < 400) {
        throw new CommandFailure(`${this.origin} redirects, and redirects are not followed: give the URL it leads to`)
      }
      const response = message.id === undefined ? undefined : await this.#response(incoming, message.id)
      return { status, headers: incoming.headers, response }
    } finally {
      incoming.destroy() // whatever is left of it is not wanted
    }
  }

  /** Ends a session at the server (MCP 2025-11-25, Session Management). Whether it likes that is its own affair. */
  async delete(headers: Readonly<Record<string, string>>): Promise<void> {
    await this.#send('DELETE', headers).then(
      (incoming) => incoming.destroy(),
      () => undefined,
    )
  }

  #send(method: string, headers: Readonly<Record<string, string>>, text?: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const send = this.#url.protocol === 'https:' ? requestTls : requestPlain
      const outgoing = send(this.#url, {
        method,
        agent: false,
        signal: this.#deadline,
        rejectUnauthorized: true, // said, or NODE_TLS_REJECT_UNAUTHORIZED=0 would decide
        headers: {
          accept: `application/json, ${EVENT_STREAM}`,
          'accept-encoding': 'identity',
          ...headers,
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token.reveal()}` }),
          ...(text === undefined
            ? {}
            : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
        },
      })
      outgoing.once('response', resolve)
      outgoing.on('error', reject)
      outgoing.end(text)
    })
  }

  async #response(incoming: IncomingMessage, id: number): Promise<JsonObject | undefined> {
    const type = (incoming.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase()
    if (type !== EVENT_STREAM) {
      const chunks: Buffer[] = []
      await this.#reaching(async () => {
        for await (const chunk of this.#counted(incoming)) chunks.push(chunk)
      })
      return decodeObject(Buffer.concat(chunks).toString('utf8'))
    }
    return this.#reaching(async () => {
      for await (const data of eventData(this.#counted(incoming))) {
        const message = decodeObject(data)
        // Requests and notifications of the server come on the same stream: nothing of it is answered.
        if (message?.['id'] === id && ('result' in message || 'error' in message)) return message
      }
      return undefined
    })
  }

  async *#counted(incoming: IncomingMessage): AsyncGenerator<Buffer> {
    for await (const chunk of incoming as AsyncIterable<Buffer>) {
      this.#bytes += chunk.length
      if (this.#bytes > this.#bounds.bytesMax) {
        throw new CommandFailure(`${this.origin} answers with more than ${this.#bounds.bytesMax} bytes`)
      }
      yield chunk
    }
  }

  async #reaching<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (fault) {
      if (fault instanceof CommandFailure) throw fault
      const why = this.#deadline.aborted ? `no answer in ${this.#bounds.timeoutMs / 1000} s` : codeOf(fault)
      throw new CommandFailure(`${this.origin} could not be reached (${why})`, fault)
    }
  }
}

/** The `data` of each event (WHATWG HTML §9.2.6), of a stream whose length somebody else bounds. */
async function* eventData(bytes: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let pieces: string[] = []
  let rest = ''
  for await (const chunk of bytes) {
    const text = decoder.decode(chunk, { stream: true })
    // What has no end yet is looked at once, when its end has come: a megabyte in small pieces costs no more than in one.
    if (!text.includes('\n')) {
      rest += text
      continue
    }
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines.map((one) => (one.endsWith('\r') ? one.slice(0, -1) : one))) {
      if (line.startsWith('data:')) pieces.push(line.slice(line.startsWith('data: ') ? 6 : 5))
      if (line !== '') continue
      if (pieces.length > 0) yield pieces.join('\n')
      pieces = []
    }
  }
}
