/**
 * The one door through which commands speak to a broker.
 *
 * Guarantees: https, or http to this machine only, so that no credential crosses a network in the clear; no redirect is
 * followed (a credential must not go where another server points); bounded size and time; the answer is strict JSON.
 */
import { X509Certificate } from 'node:crypto'
import { type IncomingMessage, request as requestPlain } from 'node:http'
import { request as requestTls } from 'node:https'
import { codeOf } from '../kernel/fault.ts'
import type { Secret } from '../kernel/secret.ts'
import { EVENT_STREAM } from '../protocol/revocation-feed.ts'
import { isLoopbackHost } from '../registry/url-rules.ts'
import { CommandFailure, UsageError } from './failures.ts'
import { programName } from './invocation.ts'
import { decodeObject, type JsonObject } from './json-fields.ts'

const ANSWER_BYTES_MAX = 8 * 1024 * 1024
const TIMEOUT_MS = 10_000

/** The broker said no: exit code 1. `advice`: what the person at the keyboard may do about it. */
export class BrokerRefusal extends Error {
  readonly status: number
  readonly body: JsonObject
  readonly advice: string | undefined
  /** What it wants in a DPoP proof (RFC 9449 §8). */
  readonly nonce: string | undefined

  constructor(status: number, body: JsonObject, advice?: string, nonce?: string) {
    super('the broker refused')
    this.name = 'BrokerRefusal'
    this.status = status
    this.body = body
    this.advice = advice
    this.nonce = nonce
  }
}

interface Asked {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly bearer?: Secret | undefined
  readonly anyStatus?: true
  readonly dpop?: Secret | undefined
  readonly body?: { readonly type: string; readonly text: string }
  readonly accept?: string
  readonly lastEventId?: string | undefined
  /** Ends it; absent: after ten seconds. */
  readonly signal?: AbortSignal
}

export class BrokerClient {
  readonly #base: URL
  readonly #certificate: string | undefined
  readonly #signal: AbortSignal | undefined

  /**
   * @param base the issuer, or the broker's own address with the issuer's path
   * @param certificate PEM: trusted exactly, under whatever name; absent: what this machine trusts
   * @param signal ends whatever is being asked
   * @throws UsageError
   */
  constructor(base: string, certificate?: string, signal?: AbortSignal) {
    this.#certificate = certificate
    this.#signal = signal
    if (!URL.canParse(base)) throw new UsageError('the address of the broker must be an absolute URL')
    const url = new URL(base)
    const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))
    if (!isSafe) throw new UsageError(`${url.origin} must be https (plain http only on this machine)`)
    this.#base = url
  }

  /** The same broker, asked nothing beyond the end of `signal`. */
  endingWith(signal: AbortSignal): BrokerClient {
    return new BrokerClient(this.#base.href, this.#certificate, signal)
  }

  /** @param dpop a DPoP proof for this request */
  postForm(path: string, form: URLSearchParams, dpop?: Secret): Promise<JsonObject> {
    return this.#ask(path, {
      method: 'POST',
      dpop,
      body: { type: 'application/x-www-form-urlencoded', text: form.toString() },
    })
  }

  /** @param dpop by the key that the token is bound to, for this request */
  get(path: string, bearer: Secret, dpop?: Secret): Promise<JsonObject> {
    return this.#ask(path, { method: 'GET', bearer, dpop })
  }

  /** What a broker says of itself, also where that is nothing good: any status with an object is an answer. */
  state(path: string): Promise<JsonObject> {
    return this.#ask(path, { method: 'GET', anyStatus: true })
  }

  /** @param bearer `undefined`: whoever signs in has none yet */
  postJson(path: string, bearer: Secret | undefined, value: unknown, dpop?: Secret): Promise<JsonObject> {
    const body = { type: 'application/json', text: JSON.stringify(value) }
    return this.#ask(path, { method: 'POST', bearer, dpop, body })
  }

  delete(path: string, bearer: Secret, dpop?: Secret): Promise<JsonObject> {
    return this.#ask(path, { method: 'DELETE', bearer, dpop })
  }

  /**
   * The bytes of an event stream, for as long as it is wanted.
   * @throws BrokerRefusal, CommandFailure
   */
  async stream(
    path: string,
    bearer: Secret,
    { lastEventId, signal }: { readonly lastEventId: string | undefined; readonly signal: AbortSignal },
  ): Promise<AsyncIterable<Uint8Array>> {
    const asked = { method: 'GET', bearer, accept: EVENT_STREAM, lastEventId, signal } as const
    const answer = await this.#open(path, asked)
    const type = (answer.headers['content-type'] ?? '').split(';', 1)[0]
    if (answer.statusCode === 200 && type === EVENT_STREAM) return answer
    await this.#read(answer, asked)
    throw new CommandFailure(`${this.#base.origin} answered with something other than a stream`)
  }

  /** @throws BrokerRefusal, CommandFailure */
  async #ask(path: string, asked: Asked): Promise<JsonObject> {
    return this.#read(await this.#open(path, asked), asked)
  }

  async #open(path: string, asked: Asked): Promise<IncomingMessage> {
    const { origin, pathname } = this.#base
    const url = new URL(`${origin}${pathname.replace(/\/$/, '')}${path}`)
    const within = asked.signal ?? AbortSignal.timeout(TIMEOUT_MS)
    const signal = this.#signal === undefined ? within : AbortSignal.any([within, this.#signal])
    try {
      return await send(url, { ...asked, signal }, this.#certificate)
    } catch (fault) {
      throw unreachable(origin, fault)
    }
  }

  async #read(answer: IncomingMessage, asked: Asked): Promise<JsonObject> {
    const { origin } = this.#base
    const status = answer.statusCode ?? 0
    const nonce = answer.headers['dpop-nonce']
    let text: string
    try {
      text = await readText(answer)
    } catch (fault) {
      if (fault instanceof CommandFailure) throw fault
      throw unreachable(origin, fault)
    }
    const body = decodeObject(text)
    if (((status >= 200 && status < 300) || asked.anyStatus === true) && body !== undefined) return body
    if (status >= 400 && typeof body?.['error'] === 'string') {
      throw new BrokerRefusal(status, body, undefined, typeof nonce === 'string' ? nonce : undefined)
    }
    throw new CommandFailure(`${origin} answered with status ${status} and not as a broker does`)
  }
}

function send(
  url: URL,
  { method, bearer, dpop, body, accept = 'application/json', lastEventId, signal }: Asked,
  certificate: string | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestTls : requestPlain
    const outgoing = request(url, {
      method,
      agent: false,
      ...(certificate === undefined ? {} : exactly(certificate)),
      ...(signal === undefined ? {} : { signal }),
      headers: {
        accept,
        ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
        ...(bearer === undefined
          ? {}
          : { authorization: `${dpop === undefined ? 'Bearer' : 'DPoP'} ${bearer.reveal()}` }),
        ...(dpop === undefined ? {} : { dpop: dpop.reveal() }),
        ...(body === undefined
          ? {}
          : { 'content-type': body.type, 'content-length': String(Buffer.byteLength(body.text)) }),
      },
    })
    outgoing.once('response', resolve)
    outgoing.on('error', reject)
    outgoing.end(body?.text)
  })
}

/** This certificate and no other: its name does not matter, and what it may have signed is not believed. */
function exactly(certificate: string) {
  const { raw } = new X509Certificate(certificate)
  const checkServerIdentity = (_name: string, peer: { readonly raw: Buffer }) =>
    peer.raw.equals(raw) ? undefined : new Error('another certificate than the broker’s own')
  return { ca: certificate, allowPartialTrustChain: true, checkServerIdentity }
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) {
      answer.destroy()
      throw new CommandFailure('the answer is too long')
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function unreachable(origin: string, fault: unknown): CommandFailure {
  const code = codeOf(fault)
  if (code === 'ECONNREFUSED')
    return new CommandFailure(`nothing answers at ${origin}: start it with ${programName()} serve`, fault)
  const timedOut = fault instanceof Error && (fault.name === 'AbortError' || fault.name === 'TimeoutError')
  const why = timedOut ? `no answer in ${TIMEOUT_MS / 1000} s` : code
  return new CommandFailure(`${origin} could not be reached (${why})`, fault)
}
