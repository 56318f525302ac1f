/**
 * The proxy itself: what comes in at one secret path of this machine's loopback address is sent to one MCP server with a fresh
 * token, and what that answers is streamed back.
 *
 * Guarantees: nothing but that server is reached, and by no redirect; the client's own credentials go no further, and the token
 * never reaches the client; bodies, connections and times are bounded; a refusal is a JSON-RPC error that says why.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { codeOf } from '../../kernel/fault.ts'
import { AgentError, BrokerUnavailable, NotTrusted, OutsideIntent } from '../../sdk/agent/agent.ts'
import type { Holder } from '../agent/token-holder.ts'
import { CommandFailure } from '../failures.ts'
import { decodeObject } from '../json-fields.ts'
import { toClient, toServer } from './proxied-headers.ts'
import { type Gate, refusalOf } from './proxy-gate.ts'

/** As much as the MCP SDKs take. */
const BODY_BYTES_MAX = 4 * 1024 * 1024
const CONNECTIONS_MAX = 256
const REQUEST_MS_MAX = 30_000
/** Of JSON-RPC: one that the implementation gives its meaning to. */
const REFUSED_CODE = -32_000

export interface ProxyOptions {
  readonly holder: Holder
  readonly secret: string
  readonly host: string
  readonly port: number
  /** One line per refusal or fault; never a token, an argument or a path. */
  readonly log: (line: string) => void
}

export interface Proxy {
  readonly port: number
  stop(): Promise<void>
}

/** @throws CommandFailure where the address cannot be had */
export async function startProxy(options: ProxyOptions): Promise<Proxy> {
  const server = createServer({ requestTimeout: REQUEST_MS_MAX, headersTimeout: REQUEST_MS_MAX })
  server.maxConnections = CONNECTIONS_MAX
  const { port } = await bound(server, options)
  const gate = { port, secret: options.secret }
  server.on('request', (request, response) => {
    void serve(request, response, options, gate).catch((fault: unknown) => {
      options.log(`a request ended early (${codeOf(fault)})`)
      response.destroy()
    })
  })
  return {
    port,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        // Streams of servers have no end of their own.
        server.closeAllConnections()
      }),
  }
}

function bound(server: Server, { host, port }: ProxyOptions): Promise<AddressInfo> {
  return new Promise((resolve, reject) => {
    server.once('error', (fault) =>
      reject(new CommandFailure(`port ${port} of ${host} cannot be listened on (${codeOf(fault)})`, fault)),
    )
    server.listen(port, host, () => resolve(server.address() as AddressInfo))
  })
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: ProxyOptions,
  gate: Gate,
): Promise<void> {
  const refusal = refusalOf(request, gate)
  if (refusal !== undefined) {
    options.log(`refused: ${refusal.why}`)
    return refuse(response, refusal)
  }
  const body = request.method === 'POST' ? await readBody(request) : undefined
  if (body === 'too_large') return refuse(response, { status: 413, why: `more than ${BODY_BYTES_MAX} bytes` })
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const answer = await ask(request, body, options, gone.signal)
  if (!(answer instanceof Response)) {
    options.log(`refused: ${answer.why}`)
    return refuse(response, answer, idOf(body))
  }
  response.writeHead(answer.status, toClient(answer.headers))
  response.flushHeaders() // a stream says that it is open before it says anything
  if (answer.body === null) response.end()
  else await pipeline(Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]), response)
}

interface Failed {
  readonly status: number
  readonly why: string
  readonly retryAfterSeconds?: number | undefined
  /** How the call could be narrowed, and whom to ask. */
  readonly data?: object
}

async function ask(
  { method = 'GET', url = '', headers }: IncomingMessage,
  body: Buffer | undefined,
  { holder }: ProxyOptions,
  signal: AbortSignal,
): Promise<Response | Failed> {
  const at = url.indexOf('?')
  const target =
    at < 0 ? holder.resource : `${holder.resource}${holder.resource.includes('?') ? '&' : '?'}${url.slice(at + 1)}`
  const sent = {
    method,
    headers: toServer(headers),
    signal,
    ...(body === undefined ? {} : { body: new Uint8Array(body) }),
  }
  let answer: Response
  try {
    answer = await holder.fetch(target, sent)
  } catch (fault) {
    return failed(fault)
  }
  const isRedirect = answer.status >= 300 && answer.status < 400
  // Refused with a fresh token, too. A client told of it would look for somebody to sign in at.
  if (!isRedirect && answer.status !== 401) return answer
  await answer.body?.cancel()
  return isRedirect
    ? { status: 502, why: 'the MCP server redirects, and redirects are not followed' }
    : { status: 502, why: 'the MCP server does not accept the broker’s token' }
}

function failed(fault: unknown): Failed {
  if (fault instanceof BrokerUnavailable) {
    return { status: 503, why: fault.message, retryAfterSeconds: fault.retryAfterSeconds ?? 1 }
  }
  if (fault instanceof NotTrusted) return { status: 502, why: fault.message }
  if (fault instanceof OutsideIntent && Object.keys(fault.told).length > 0) {
    return { status: 403, why: fault.message, data: fault.told }
  }
  if (fault instanceof AgentError) return { status: 403, why: fault.message }
  const cause = fault instanceof Error ? fault.cause : undefined
  return { status: 502, why: `the MCP server cannot be reached (${codeOf(cause ?? fault)})` }
}

async function readBody(request: IncomingMessage): Promise<Buffer | 'too_large'> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) return 'too_large'
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** Of the request, so that a client knows which of its calls this is about. */
function idOf(body: Buffer | undefined): string | number | null {
  const id = body === undefined ? undefined : decodeObject(body.toString('utf8'))?.['id']
  return typeof id === 'string' || typeof id === 'number' ? id : null
}

function refuse(
  response: ServerResponse,
  { status, why, retryAfterSeconds, data }: Failed,
  id: string | number | null = null,
): void {
  const text = JSON.stringify({ jsonrpc: '2.0', id, error: { code: REFUSED_CODE, message: why, data } })
  response.writeHead(status, {
    'content-type': 'application/json',
    'cache-control': 'no-store',
    connection: 'close', // a body that was not read must not be taken for the next request
    ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
  })
  response.end(text)
}
