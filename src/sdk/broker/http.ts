/**
 * The verifier's one door to the network: it speaks to the broker alone, at addresses its operator configured; bounded in time
 * and size, follows no redirect, and takes what it asked for only: JSON, or one kind of signed answer.
 */
import { JWKS_BYTES_MAX } from '../../kernel/limits.ts'
import { FETCH_TIMEOUT_MS } from '../../kernel/outbound-limits.ts'
import type { Secret } from '../../kernel/secret.ts'
import { EVENT_STREAM } from '../../protocol/revocation-feed.ts'

export interface JsonRequest {
  readonly url: string
  /** POSTed as `application/x-www-form-urlencoded`; absent: a GET. */
  readonly form?: URLSearchParams
  /** POSTed as JSON, in place of a form. */
  readonly json?: Readonly<Record<string, unknown>>
  /** The media type that is wanted and taken; absent: JSON. */
  readonly accept?: 'application/token-introspection+jwt'
  readonly bearer?: Secret
  readonly traceparent?: string
  /** What the broker was asked to wait before it answers. */
  readonly waitMs?: number
  /** Until there must be an answer, whole. Default: 3 s. */
  readonly timeoutMs?: number
}

/** The answer's text, with status 200 and the media type asked for. @throws on everything else. */
export type JsonDoor = (request: JsonRequest) => Promise<string>

/** It answered, and not with what was asked for. */
export class BrokerRefused extends Error {
  readonly status: number

  constructor(status: number) {
    super(`the broker answered with status ${status}`)
    this.name = 'BrokerRefused'
    this.status = status
  }
}

export interface StreamRequest {
  readonly url: string
  readonly bearer: Secret
  /** Where the last stream had come to; absent: from the beginning. */
  readonly lastEventId?: string
  /** Ends it. */
  readonly signal: AbortSignal
}

/** The bytes of an event stream, as they come. @throws on everything else */
export type StreamDoor = (request: StreamRequest) => Promise<AsyncIterable<Uint8Array>>

export const streamOverHttp: StreamDoor = async ({ url, bearer, lastEventId, signal }) => {
  const response = await fetch(url, {
    headers: {
      accept: EVENT_STREAM,
      authorization: `Bearer ${bearer.reveal()}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    },
    redirect: 'error',
    signal,
  })
  const type = (response.headers.get('content-type') ?? '').split(';', 1)[0]
  if (response.status === 200 && type === EVENT_STREAM && response.body !== null) return response.body
  await response.body?.cancel()
  if (response.status !== 200) throw new BrokerRefused(response.status)
  throw new Error('the broker answered with something other than a stream')
}

export const jsonOverHttp: JsonDoor = async ({
  url,
  form,
  json,
  accept,
  bearer,
  traceparent,
  waitMs = 0,
  timeoutMs,
}) => {
  const body = json === undefined ? form : JSON.stringify(json)
  const response = await fetch(url, {
    method: body === undefined ? 'GET' : 'POST',
    ...(body === undefined ? {} : { body }),
    headers: {
      accept: accept ?? 'application/json',
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer.reveal()}` }),
      ...(traceparent === undefined ? {} : { traceparent }),
    },
    // A redirect would send the client assertion, or the trust in a key set, to an address nobody configured.
    redirect: 'error',
    signal: AbortSignal.timeout((timeoutMs ?? FETCH_TIMEOUT_MS) + waitMs),
  })
  if (response.status !== 200) {
    await response.body?.cancel()
    throw new BrokerRefused(response.status)
  }
  const type = response.headers.get('content-type') ?? ''
  const isWanted =
    accept === undefined ? /^application\/(?:[\w.-]+\+)?json(?:;|$)/.test(type) : type.split(';', 1)[0] === accept
  if (!isWanted) {
    await response.body?.cancel()
    throw new Error(`the broker answered with something other than ${accept ?? 'JSON'}`)
  }
  return boundedText(response)
}

/** A form to a token or revocation endpoint, and whatever it answered: what was refused, and why, is in the body. */
export interface FormRequest {
  readonly url: string
  readonly form: URLSearchParams
  /** In place of the form, which is empty then. */
  readonly json?: Readonly<Record<string, unknown>>
  readonly headers?: Readonly<Record<string, string>>
}

export interface FormAnswer {
  readonly status: number
  readonly text: string
  header(name: string): string | undefined
}

/** @throws where there was no answer, or too much of one */
export type FormDoor = (request: FormRequest) => Promise<FormAnswer>

export const formOverHttp: FormDoor = async ({ url, form, json, headers }) => {
  const response = await fetch(url, {
    method: 'POST',
    body: json === undefined ? form : JSON.stringify(json),
    headers: { ...headers, ...(json && { 'content-type': 'application/json' }), accept: 'application/json' },
    redirect: 'error', // as above: what authenticates us goes nowhere else
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
  })
  const text = await boundedText(response)
  return { status: response.status, text, header: (name) => response.headers.get(name) ?? undefined }
}

/** As the platform's; what callers of an agent give in its place has to be the same. */
export type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** What an agent itself calls MCP servers with. */
export const platformFetch: Fetch = (input, init) => fetch(input, init)

async function boundedText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > JWKS_BYTES_MAX) throw new Error('the broker answered with too much')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
