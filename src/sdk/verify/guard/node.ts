/**
 * The guard in the words of Node's HTTP and of Express: what of them is needed, and no more, so that any version fits.
 *
 * A body that was parsed in front is judged as the very object that the server will see; otherwise it is read here, strictly, and
 * becomes `body` of the request.
 */
import type { AuthInfo } from '../auth-info.ts'
import type { AnswerWatch } from './answer-watch.ts'
import type { Answer } from './answers.ts'
import type { Admitted, GuardedBody, GuardedRequest } from './guard.ts'
import { SESSION_HEADER } from './protocol-sessions.ts'
import { parseBody, readBody } from './read-body.ts'

export interface NodeRequest extends AsyncIterable<Uint8Array> {
  readonly method?: string | undefined
  readonly url?: string | undefined
  /** Express's: what a router has not yet taken apart. */
  readonly originalUrl?: string
  readonly headersDistinct: Readonly<Partial<Record<string, readonly string[]>>>
  body?: unknown
  auth?: Omit<AuthInfo, 'expiresAt' | 'resource' | 'resourceMetadataUrl' | 'extra'> & {
    readonly extra?: Record<string, unknown>
  }
}

export interface NodeResponse {
  statusCode: number
  setHeader(name: string, value: string): unknown
  removeHeader(name: string): void
  getHeader(name: string): unknown
  end(...rest: never[]): unknown
  write(...rest: never[]): boolean
  writeHead(...rest: never[]): unknown
}

export type Next = (error?: unknown) => void

export function asGuarded(request: NodeRequest, certificateThumbprint: string | undefined): GuardedRequest {
  return {
    method: request.method ?? '',
    url: urlOf(request),
    header: headerOf(request),
    body: () => bodyOf(request),
    certificateThumbprint,
  }
}

export function urlOf({ originalUrl, url }: NodeRequest): string {
  return originalUrl ?? url ?? ''
}

/** Node keeps the first of two `Authorization` headers and drops the other: only here are both to be seen. */
export function headerOf(request: NodeRequest): (name: string) => readonly string[] {
  return (name) => request.headersDistinct[name] ?? []
}

/** @throws BadMessage, BodyTooLarge */
export async function bodyOf(request: NodeRequest): Promise<GuardedBody> {
  const { body } = request
  if (body !== undefined && typeof body !== 'string' && !(body instanceof Uint8Array)) return { value: body }
  const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body
  const read = bytes === undefined ? await readBody(request) : parseBody(bytes)
  request.body = read.value
  return read
}

export function send(response: NodeResponse, { status, headers, body }: Answer): void {
  response.statusCode = status
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
  response.setHeader('content-type', 'application/json')
  ;(response as unknown as Writing).end(JSON.stringify(body))
}

type Args = readonly unknown[]
interface Writing {
  write(...args: Args): boolean
  end(...args: Args): unknown
  writeHead(status: number, ...args: Args): unknown
  once(event: 'close', listener: () => void): unknown
}

/** Tells the `Mcp-Session-Id` of the answer, and looks on as it is written. */
export function watchNode(response: NodeResponse, { watch, opened }: Pick<Admitted, 'watch' | 'opened'>): void {
  const writing = response as unknown as Writing
  const { writeHead } = writing
  writing.writeHead = (status, ...args) => {
    const session = args.flatMap(sessionIn)[0] ?? response.getHeader(SESSION_HEADER)
    if (typeof session === 'string') opened(session)
    if (watch?.rewrites !== true) return writeHead.call(writing, status, ...args)
    response.removeHeader('content-length')
    return writeHead.call(writing, status, ...args.map(withoutLength))
  }
  if (watch !== undefined) watchWriting(response, watch)
}

function watchWriting(response: NodeResponse, watch: AnswerWatch): void {
  const writing = response as unknown as Writing
  const { write, end } = writing
  writing.write = (part, ...rest) => {
    const seen = watch.part(bytesOf(part, rest[0]))
    // Held back: what waits for it to be written need not wait.
    if (seen.length > 0) return write.call(writing, seen, ...callbacksOf(rest))
    for (const done of callbacksOf(rest)) (done as () => void)()
    return true
  }
  writing.end = (...args) => {
    const parts = args.filter((arg) => typeof arg === 'string' || arg instanceof Uint8Array)
    const seen = parts.length === 0 ? new Uint8Array() : watch.part(bytesOf(parts[0], parts[1]))
    const last = Buffer.concat([seen, watch.end(response.statusCode)])
    const rest = callbacksOf(args)
    return last.length === 0 ? end.call(writing, ...rest) : end.call(writing, last, ...rest)
  }
}

/** Of what `writeHead` is given, in whichever of its forms. */
function sessionIn(headers: unknown): readonly unknown[] {
  if (typeof headers !== 'object' || headers === null) return []
  const isFlat = Array.isArray(headers) && !headers.every(Array.isArray)
  const pairs: readonly (readonly unknown[])[] = isFlat
    ? headers.flatMap((name, at) => (at % 2 === 0 ? [[name, headers[at + 1]]] : []))
    : Array.isArray(headers)
      ? headers
      : Object.entries(headers)
  return pairs.flatMap(([name, value]) => (String(name).toLowerCase() === SESSION_HEADER ? [value] : []))
}

function bytesOf(part: unknown, encoding: unknown): Uint8Array {
  if (part instanceof Uint8Array) return part
  return Buffer.from(String(part), typeof encoding === 'string' ? (encoding as BufferEncoding) : 'utf8')
}

function callbacksOf(args: Args): Args {
  return args.filter((arg) => typeof arg === 'function')
}

/** Of `writeHead`: an object, or names and values in turn; or the words of the status. */
function withoutLength(headers: unknown): unknown {
  if (typeof headers !== 'object' || headers === null) return headers
  const isLength = (name: unknown) => String(name).toLowerCase() === 'content-length'
  if (!Array.isArray(headers)) return Object.fromEntries(Object.entries(headers).filter(([name]) => !isLength(name)))
  if (headers.every(Array.isArray)) return headers.filter(([name]) => !isLength(name))
  return headers.filter((_, at) => !isLength(headers[at - (at % 2)]))
}
