/**
 * The broker's API as a server asks it: with an API token of scope `evaluate`, renewed ahead of its end and once however many wait,
 * and a deadline on every question. Whatever is not a plain answer is thrown.
 */
import { isJsonObject, parseStrictJson } from '../../../jose/strict-json.ts'
import type { Clock, Ticks } from '../../../kernel/clock.ts'
import type { Secret } from '../../../kernel/secret.ts'
import { type ApiToken, fetchApiToken } from '../../broker/api-token.ts'
import type { ServerIdentity } from '../../broker/client-assertion.ts'
import { BrokerRefused, type JsonDoor } from '../../broker/http.ts'
import { inTime } from '../../broker/in-time.ts'

type Json = Readonly<Record<string, unknown>>

export interface BrokerApiOptions {
  readonly issuer: string
  readonly client: ServerIdentity
  /** For one question, with whatever it takes to be let in. */
  readonly timeoutMs: number
  readonly door: JsonDoor
  readonly clock: Clock
  readonly ticks: Ticks
}

interface Asking {
  readonly token: Secret
  readonly deadlineMs: number
  readonly traceparent: string | undefined
}

export class BrokerApi {
  readonly #options: BrokerApiOptions
  #token: ApiToken | undefined
  #flight: Promise<ApiToken> | undefined

  constructor(options: BrokerApiOptions) {
    this.#options = options
  }

  /** @param path below the issuer; `traceparent`: of what is asked about. @throws BrokerRefused, and Error where there was no answer in time, or none that can be read */
  async post(
    path: '/access/v1/evaluation' | '/access/v1/evaluations' | '/access/v1/outcome',
    json: Json,
    traceparent?: string,
  ): Promise<Json> {
    const { ticks, timeoutMs } = this.#options
    const deadlineMs = ticks.ticksMs() + timeoutMs
    const token = await inTime(this.#current(), timeoutMs)
    try {
      return await this.#send(path, json, { token, deadlineMs, traceparent })
    } catch (error) {
      if (!(error instanceof BrokerRefused) || error.status !== 401) throw error
      // It was cut off, or its broker has other keys by now: one more is asked for, once.
      if (this.#token?.token === token) this.#token = undefined
      const fresh = await inTime(this.#current(), deadlineMs - ticks.ticksMs())
      return await this.#send(path, json, { token: fresh, deadlineMs, traceparent })
    }
  }

  async #send(path: string, json: Json, asking: Asking): Promise<Json> {
    const { token, deadlineMs, traceparent } = asking
    const { issuer, door, ticks } = this.#options
    const timeoutMs = Math.floor(deadlineMs - ticks.ticksMs())
    if (timeoutMs <= 0) throw new Error('there is no time left to ask the broker')
    const answer = parseStrictJson(
      await door({ url: `${issuer}${path}`, json, bearer: token, timeoutMs, ...(traceparent && { traceparent }) }),
    )
    if (isJsonObject(answer)) return answer
    throw new Error('the broker answered with something other than an object')
  }

  async #current(): Promise<Secret> {
    const now = this.#options.ticks.ticksMs()
    const held = this.#token !== undefined && now < this.#token.endsAtTicksMs ? this.#token : undefined
    if (held !== undefined && now < held.renewAtTicksMs) return held.token
    this.#flight ??= this.#renew()
    if (held === undefined) return (await this.#flight).token
    // Good for a while: nobody waits for its successor, and nobody hears that there is none yet.
    this.#flight.catch(() => undefined)
    return held.token
  }

  async #renew(): Promise<ApiToken> {
    try {
      const { timeoutMs, ...options } = this.#options
      // One that hangs is given up, for whoever asks next to try again.
      this.#token = await inTime(fetchApiToken({ ...options, scope: 'evaluate' }), timeoutMs)
      return this.#token
    } finally {
      this.#flight = undefined
    }
  }
}
