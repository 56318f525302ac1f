/**
 * The one door to the network as a client: asks a configured URL for a JSON document, or hands it something and hears how that
 * went, and nothing else.
 *
 * Guarantees: https only (plain http to loopback alone, where configuration allows loopback), with the certificate
 * verified whatever the environment says, and through no proxy; the host is resolved once, every address is checked, and
 * the connection goes to those addresses only, so that a second DNS answer cannot lead elsewhere (rebinding); no redirect
 * is followed; no cookie is sent, and no credential but the one the caller names; the size cap holds while the body
 * streams in; one deadline covers resolving, connecting and reading.
 * Does not guarantee: anything about the content, beyond that it is JSON.
 */
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { parseStrictJson } from '../jose/strict-json.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Address } from './addresses.ts'
import { addressesOf, type GuardedFetchOptions, parseUrl, pinned } from './destination.ts'
import { OutboundError } from './outbound-error.ts'

/** Of an answer that nobody reads: beyond it its sender is hung up on. */
const SKIMMED_BYTES_MAX = 16 * 1024

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
  /** W3C Trace Context: told to those alone who are part of the same work. */
  readonly traceparent?: string | undefined
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

export function createGuardedFetch(options: GuardedFetchOptions): FetchJson {
  return (text, request) => {
    const { body, ...rest } = request
    const sent: Sent = { ...rest, headers: headersOf(request), ...(body && { body: body.text.reveal() }) }
    return exchanged(text, sent, options, async (response, url) => decodeJson(await readBody(response, url, request)))
  }
}

export interface PostRequest {
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly timeoutMs: number
  /** Authorities in PEM that are trusted instead of the system's. */
  readonly ca?: string | undefined
  /** Of the answer, all of it; absent: what comes of its beginning will do. */
  readonly answerBytesMax?: number
}

export interface PostAnswer {
  /** Never 3xx. */
  readonly status: number
  /** The header `Retry-After`, as it came. */
  readonly retryAfter: string | undefined
  /** Where the whole was not asked for, it may be cut. */
  readonly text: string
}

/** Of any status but a redirection's. @throws OutboundError */
export type GuardedPost = (url: string, request: PostRequest) => Promise<PostAnswer>

export function createGuardedPost(options: GuardedFetchOptions): GuardedPost {
  return (text, { headers, answerBytesMax, ...request }) => {
    const length = { 'content-length': Buffer.byteLength(request.body), 'accept-encoding': 'identity' }
    const { ca, ...sent } = { ...request, headers: { ...headers, ...length } }
    return exchanged(text, { ...sent, ...(ca === undefined ? {} : { ca }) }, options, async (response, url) => {
      const { statusCode: status = 0, headers: told } = response
      const body = answerBytesMax === undefined ? await skim(response) : await collect(response, url, answerBytesMax)
      refuseRedirect(status, url)
      return { status, retryAfter: told['retry-after'], text: body.toString('utf8') }
    })
  }
}

/** What goes onto the wire, and what the other side has to be. */
interface Sent extends Pick<FetchRequest, 'ca' | 'assertPeer'> {
  readonly headers: Readonly<Record<string, string | number>>
  /** Sent by POST. */
  readonly body?: string
  readonly timeoutMs: number
}

async function exchanged<T>(
  text: string,
  sent: Sent,
  options: GuardedFetchOptions,
  read: (response: IncomingMessage, url: URL) => Promise<T>,
): Promise<T> {
  const url = parseUrl(text)
  const deadline = AbortSignal.timeout(sent.timeoutMs)
  try {
    const addresses = await addressesOf(url, options, deadline)
    return await read(await connect({ url, addresses, sent, deadline }), url)
  } catch (error) {
    if (error instanceof OutboundError) throw error
    if (deadline.aborted) throw new OutboundError('timeout', `${url.host} did not answer in ${sent.timeoutMs} ms`)
    throw new OutboundError('unreachable', `${url.host} could not be reached`, error)
  }
}

interface Exchange {
  readonly url: URL
  readonly addresses: readonly Address[]
  readonly sent: Sent
  readonly deadline: AbortSignal
}

function connect({ url, addresses, sent, deadline }: Exchange): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? requestTls : requestPlain
    const outgoing = send(url, {
      method: sent.body === undefined ? 'GET' : 'POST',
      agent: false, // no pooled socket that another request's resolution has opened, and no proxy of the environment's
      lookup: pinned(addresses),
      signal: deadline,
      headers: sent.headers,
      rejectUnauthorized: true, // said, or NODE_TLS_REJECT_UNAUTHORIZED=0 would decide
      minVersion: 'TLSv1.2',
      ...(sent.ca === undefined ? {} : { ca: sent.ca }),
      ...(sent.assertPeer === undefined ? {} : peerRules(sent.assertPeer)),
    })
    outgoing.once('response', resolve)
    outgoing.on('error', reject)
    outgoing.end(sent.body)
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

function headersOf({ accept, authorization, body, traceparent }: FetchRequest): Record<string, string | number> {
  return {
    accept: accept.join(', '),
    'accept-encoding': 'identity',
    ...(traceparent === undefined ? {} : { traceparent }),
    ...(authorization === undefined ? {} : { authorization: authorization.reveal() }),
    ...(body === undefined
      ? {}
      : { 'content-type': body.type, 'content-length': Buffer.byteLength(body.text.reveal()) }),
  }
}

async function readBody(response: IncomingMessage, url: URL, bounds: FetchRequest): Promise<Buffer> {
  try {
    refuseHead(response, url, bounds)
    return await collect(response, url, bounds.bytesMax)
  } finally {
    response.destroy() // whatever is left of it is not wanted
  }
}

async function collect(response: IncomingMessage, url: URL, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > bytesMax) throw tooLarge(url, bytesMax)
      chunks.push(chunk)
    }
    return Buffer.concat(chunks)
  } finally {
    response.destroy()
  }
}

/** So that whoever answers briefly is not cut off in the middle of it; how it goes changes nothing. */
async function skim(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      chunks.push(chunk)
      if (Buffer.concat(chunks).length > SKIMMED_BYTES_MAX) break
    }
  } catch {
    // The head has said what there is to know.
  }
  response.destroy()
  return Buffer.concat(chunks)
}

function refuseHead(response: IncomingMessage, url: URL, bounds: FetchRequest): void {
  const status = response.statusCode ?? 0
  refuseRedirect(status, url)
  const isAnswered = status === 200 || (status === 201 && bounds.mayCreate === true)
  if (!isAnswered) throw new OutboundError('status', `${url.host} answered with status ${status}`)
  const mediaType = (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase() ?? ''
  if (!bounds.accept.includes(mediaType)) throw new OutboundError('media_type', `${url.host} did not answer with JSON`)
  // A compressed answer to a request for none would be a bomb or a mistake.
  if ((response.headers['content-encoding'] ?? 'identity') !== 'identity') {
    throw new OutboundError('media_type', `${url.host} answered with a content encoding that was not asked for`)
  }
  if (Number(response.headers['content-length'] ?? 0) > bounds.bytesMax) throw tooLarge(url, bounds.bytesMax)
}

function refuseRedirect(status: number, url: URL): void {
  if (status >= 300 && status < 400)
    throw new OutboundError('redirect', `${url.host} redirects; redirects are not followed`)
}

function tooLarge(url: URL, bytesMax: number): OutboundError {
  return new OutboundError('too_large', `${url.host} answered with more than ${bytesMax} bytes`)
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
