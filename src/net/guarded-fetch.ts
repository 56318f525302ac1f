/**
 * The one door to the network as a client: asks a configured URL for a JSON document and nothing else.
 *
 * Guarantees: https only (plain http to loopback alone, where configuration allows loopback), with the certificate
 * verified whatever the environment says, and through no proxy; the host is resolved once, every address is checked, and
 * the connection goes to those addresses only, so that a second DNS answer cannot lead elsewhere (rebinding); no redirect
 * is followed; no cookie is sent, and no credential but the one the caller names; the size cap holds while the body
 * streams in; one deadline covers resolving, connecting and reading.
 * Does not guarantee: anything about the content, beyond that it is JSON.
 */
import { lookup } from 'node:dns/promises'
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import type { LookupFunction } from 'node:net'
import { parseStrictJson } from '../jose/strict-json.ts'
import type { Secret } from '../kernel/secret.ts'
import { type Address, isLoopback, isPrivate, isPublic, literalAddress } from './addresses.ts'

export type OutboundErrorCode =
  | 'url_refused'
  | 'address_refused'
  | 'unreachable'
  | 'timeout'
  | 'redirect'
  | 'status'
  | 'media_type'
  | 'too_large'
  | 'malformed'

/** Says what went wrong with which host; never quotes what the other side sent. */
export class OutboundError extends Error {
  readonly code: OutboundErrorCode

  constructor(code: OutboundErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'OutboundError'
    this.code = code
  }
}

export interface FetchBounds {
  readonly bytesMax: number
  readonly timeoutMs: number
  /** Media types, without parameters, that the answer may have. */
  readonly accept: readonly string[]
}

export interface OutboundBody {
  readonly type: 'application/x-www-form-urlencoded' | 'application/json'
  readonly text: Secret
}

export interface FetchRequest extends FetchBounds {
  /** Sent by POST; without it the request is a GET. */
  readonly body?: OutboundBody
  /** It may be answered with 201, too. */
  readonly mayCreate?: true
  /** The value of `Authorization`: reaches this URL only, as nothing is redirected. */
  readonly authorization?: Secret
  /** Authorities in PEM that are trusted instead of the system's. */
  readonly ca?: string
  /**
   * Whose the certificate must be, instead of the URL's host: throws unless this one, in DER, is theirs. Its path may then end
   * in any authority of `ca`, which must be given.
   */
  readonly assertPeer?: (certificate: Buffer) => void
}

/** @throws OutboundError */
export type FetchJson = (url: string, request: FetchRequest) => Promise<unknown>

/** All addresses of a name. */
export type ResolveHost = (hostname: string) => Promise<readonly Address[]>

export interface GuardedFetchOptions {
  /** For development and tests on one machine: loopback, over http too, and nothing else that is special. */
  readonly allowLoopback: boolean
  /** Hosts as URLs spell them (`host`, or `host:port` where it is not 443) that may have private addresses. */
  readonly internalHosts?: ReadonlySet<string> | undefined
  /** Instead of the system's resolver. */
  readonly resolveHost?: ResolveHost
}

export function createGuardedFetch(options: GuardedFetchOptions): FetchJson {
  const resolveHost = options.resolveHost ?? resolveWithSystem
  return async (text, request) => {
    const url = parseUrl(text)
    const deadline = AbortSignal.timeout(request.timeoutMs)
    try {
      const addresses = await raceDeadline(resolveOnce(url, resolveHost), deadline)
      refuseAddresses(url, addresses, options)
      const response = await connect({ url, addresses, request, deadline })
      return decodeJson(await readBody(response, url, request))
    } catch (error) {
      if (error instanceof OutboundError) throw error
      if (deadline.aborted) throw new OutboundError('timeout', `${url.host} did not answer in ${request.timeoutMs} ms`)
      throw new OutboundError('unreachable', `${url.host} could not be reached`, error)
    }
  }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new OutboundError('url_refused', 'only absolute https URLs are fetched')
  }
  if (url.username !== '' || url.password !== '')
    throw new OutboundError('url_refused', 'a URL must not carry credentials')
  return url
}

/** The URL parser has already turned `0x7f.1`, `2130706433` and the like into dotted form. */
async function resolveOnce(url: URL, resolveHost: ResolveHost): Promise<readonly Address[]> {
  const literal = literalAddress(url.hostname)
  return literal === undefined ? await resolveHost(url.hostname) : [literal]
}

async function resolveWithSystem(hostname: string): Promise<readonly Address[]> {
  const found = await lookup(hostname, { all: true, order: 'verbatim' })
  return found.map(({ address, family }) => ({ address, family: family === 6 ? 6 : 4 }))
}

/** One bad address among good ones refuses them all: which one is tried first is not ours to choose. */
function refuseAddresses(url: URL, addresses: readonly Address[], options: GuardedFetchOptions): void {
  if (addresses.length === 0) throw new OutboundError('unreachable', `${url.host} has no address`)
  if (options.allowLoopback && addresses.every(isLoopback)) return
  if (url.protocol !== 'https:') throw new OutboundError('url_refused', `${url.host} must be fetched over https`)
  if (options.internalHosts?.has(url.host) && addresses.every(isPrivate)) return
  if (!addresses.every(isPublic)) {
    throw new OutboundError('address_refused', `${url.host} resolves to a special-use address (RFC 6890)`)
  }
}

interface Exchange {
  readonly url: URL
  readonly addresses: readonly Address[]
  readonly request: FetchRequest
  readonly deadline: AbortSignal
}

function connect({ url, addresses, request, deadline }: Exchange): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestTls : requestPlain
    const outgoing = send(url, {
      method: request.body === undefined ? 'GET' : 'POST',
      agent: false, // no pooled socket that another request's resolution has opened, and no proxy of the environment's
      lookup: pinned(addresses),
      signal: deadline,
      headers: headersOf(request),
      rejectUnauthorized: true, // said, or NODE_TLS_REJECT_UNAUTHORIZED=0 would decide
      minVersion: 'TLSv1.2',
      ...(request.ca === undefined ? {} : { ca: request.ca }),
      ...(request.assertPeer === undefined ? {} : peerRules(request.assertPeer)),
    })
    outgoing.once('response', resolve)
    outgoing.on('error', reject)
    outgoing.end(request.body?.text.reveal())
  })
}

function peerRules(assertPeer: (certificate: Buffer) => void) {
  return {
    allowPartialTrustChain: true,
    checkServerIdentity: (_hostname: string, { raw }: { readonly raw: Buffer }): Error | undefined => {
      try {
        assertPeer(raw)
        return undefined
      } catch (error) {
        return error instanceof Error ? error : new Error('the certificate is not the expected one')
      }
    },
  }
}

function headersOf({ accept, authorization, body }: FetchRequest): Record<string, string | number> {
  return {
    accept: accept.join(', '),
    'accept-encoding': 'identity',
    ...(authorization === undefined ? {} : { authorization: authorization.reveal() }),
    ...(body === undefined
      ? {}
      : { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text.reveal()) }),
  }
}

/** Answers with the addresses that were checked, whatever the resolver would say by now. */
function pinned(addresses: readonly Address[]): LookupFunction {
  return (_hostname, options, callback) => {
    const [first] = addresses
    if (options.all === true) callback(null, [...addresses])
    else callback(null, first?.address ?? '', first?.family ?? 4)
  }
}

async function readBody(response: IncomingMessage, url: URL, bounds: FetchRequest): Promise<Buffer> {
  try {
    refuseHead(response, url, bounds)
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > bounds.bytesMax) throw tooLarge(url, bounds)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } finally {
    response.destroy() // whatever is left of it is not wanted
  }
}

function refuseHead(response: IncomingMessage, url: URL, bounds: FetchRequest): void {
  const status = response.statusCode ?? 0
  if (status >= 300 && status < 400)
    throw new OutboundError('redirect', `${url.host} redirects; redirects are not followed`)
  const isAnswered = status === 200 || (status === 201 && bounds.mayCreate === true)
  if (!isAnswered) throw new OutboundError('status', `${url.host} answered with status ${status}`)
  const mediaType = (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!bounds.accept.includes(mediaType)) throw new OutboundError('media_type', `${url.host} did not answer with JSON`)
  // A compressed answer to a request for none would be a bomb or a mistake.
  if ((response.headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new OutboundError('media_type', `${url.host} answered with a content encoding that was not asked for`)
  }
  if (Number(response.headers['content-length'] ?? 0) > bounds.bytesMax) throw tooLarge(url, bounds)
}

function tooLarge(url: URL, bounds: FetchBounds): OutboundError {
  return new OutboundError('too_large', `${url.host} answered with more than ${bounds.bytesMax} bytes`)
}

/** Keeps a byte order mark, which JSON then refuses. */
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeJson(body: Buffer): unknown {
  try {
    return parseStrictJson(UTF8.decode(body))
  } catch {
    // The parser's message is dropped: nothing of a stranger's document belongs into a log.
    throw new OutboundError('malformed', 'the answer is not strict JSON in UTF-8')
  }
}

/** The system's resolver cannot be aborted; waiting for it can. */
function raceDeadline<T>(work: Promise<T>, deadline: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    deadline.addEventListener('abort', () => reject(deadline.reason), { once: true })
    work.then(resolve, reject)
  })
}
