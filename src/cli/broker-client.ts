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
}

export class BrokerClient {
  readonly #base: URL
  readonly #certificate: string | undefined

  /**
   * @param base the issuer, or the broker's own address with the issuer's path
   * @param certificate PEM: trusted exactly, under whatever name; absent: what this machine trusts
   * @throws UsageError
   */
  constructor(base: string, certificate?: string) {
    this.#certificate = certificate
    if (!URL.canParse(base)) throw new UsageError('the address of the broker must be an absolute URL')
    const url = new URL(base)
    const isSafe = url.protocol === 'https:' || (url.protocol === 'http:' && isLoopbackHost(url.hostname))
    if (!isSafe) throw new UsageError(`${url.origin} must be https (plain http only on this machine)`)
    this.#base = url
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

  /** @throws BrokerRefusal, CommandFailure */
  async #ask(path: string, asked: Asked): Promise<JsonObject> {
    const { origin, pathname } = this.#base
    const url = new URL(`${origin}${pathname.replace(/\/$/, '')}${path}`)
    let status: number
    let text: string
    let nonce: unknown
    try {
      const answer = await send(url, asked, this.#certificate)
      status = answer.statusCode ?? 0
      nonce = answer.headers['dpop-nonce']
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
  { method, bearer, dpop, body }: Asked,
  certificate: string | undefined,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestTls : requestPlain
    const outgoing = request(url, {
      method,
      agent: false,
      ...(certificate === undefined ? {} : exactly(certificate)),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        accept: 'application/json',
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
