/**
 * The demo's one way to speak HTTP by hand: bounded, never follows a redirect, and never leaves this machine.
 */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http'

const RESPONSE_BYTES_MAX = 1024 * 1024
const TIMEOUT_MS = 10_000

export interface Asked {
  readonly method?: 'GET' | 'POST' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as `application/x-www-form-urlencoded`. */
  readonly form?: URLSearchParams
  /** Sent as `application/json`. */
  readonly json?: unknown
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

export function ask(address: string, asked: Asked = {}): Promise<Answer> {
  const url = new URL(address)
  if (url.protocol !== 'http:' || url.hostname !== '127.0.0.1') throw new Error('the demo speaks to this machine only')
  const body = asked.json === undefined ? asked.form?.toString() : JSON.stringify(asked.json)
  const type = asked.json === undefined ? 'application/x-www-form-urlencoded' : 'application/json'
  const headers = {
    ...asked.headers,
    ...(body === undefined ? {} : { 'content-type': type, 'content-length': String(Buffer.byteLength(body)) }),
  }
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { method: asked.method ?? 'GET', headers, timeout: TIMEOUT_MS }, (incoming) => {
      const chunks: Buffer[] = []
      let size = 0
      incoming.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > RESPONSE_BYTES_MAX) incoming.destroy(new Error(`answer of ${url.origin} is too long`))
        else chunks.push(chunk)
      })
      incoming.on('error', reject)
      incoming.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        resolve({ status: incoming.statusCode ?? 0, headers: incoming.headers, text })
      })
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error(`${url.origin} did not answer in ${TIMEOUT_MS} ms`)))
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** The answer's JSON object; anything else is an empty one, whose missing members the caller will notice. */
export function jsonObject(answer: Answer): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(answer.text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : {}
  } catch {
    return {}
  }
}
