/**
 * Asking the broker, or an enterprise's identity provider: one form, one method of client authentication made afresh, a proof where tokens are to be bound, and an
 * answer that is read strictly. Waits as long as it is told to (429, 503), within a bound, and sends nothing anywhere but to
 * the endpoints of the configured issuer.
 */
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import { type Clock, systemClock, systemTicks, type Ticks } from '../../kernel/clock.ts'
import { Secret } from '../../kernel/secret.ts'
import { parseScope, type ScopeSet } from '../../protocol/scope.ts'
import type { FormAnswer, FormDoor } from '../broker/http.ts'
import { AgentError, BrokerUnavailable, NotTrusted, Refused } from './agent-errors.ts'
import type { BrokerMetadata, MetadataSource } from './broker-metadata.ts'
import type { Authentication, Credential } from './credential.ts'
import type { DpopKey } from './dpop-key.ts'
import { plain } from './plain-text.ts'

export interface Granted {
  readonly token: Secret
  /** RFC 6749 §7.1, in its registered case. */
  readonly type: 'Bearer' | 'DPoP' | 'N_A'
  readonly scopes: ScopeSet
  /** Seconds; counted from `askedTicksMs`, which is before the broker began to count. */
  readonly lifeSeconds: number
  readonly askedTicksMs: number
  /** RFC 9396 §7, unread. */
  readonly details: unknown
}

export interface EndpointParts {
  readonly metadata: Pick<MetadataSource, 'get'>
  readonly credential: Credential
  readonly proofs: DpopKey | undefined
  readonly door: FormDoor
  readonly clock?: Clock
  readonly ticks?: Ticks
  readonly wait?: (ms: number) => Promise<void>
}

type Fresh = () => Promise<Readonly<Record<string, string>>>

/** How often one request is sent again, and how long all that may take: the caller's own deadline is near. */
const ATTEMPTS_MAX = 3
const WAIT_MS_MAX = 5_000
/** Where a server does not say how long its token lives (RFC 6749 §5.1): not long. */
const UNSAID_LIFE_S = 60
/** RFC 6750 §2.1, without what could end a header early. */
const TOKEN = /^[\w.~+/-]+=*$/

export class TokenEndpoint {
  readonly #parts: EndpointParts
  readonly #clock: Clock
  readonly #ticks: Ticks

  constructor(parts: EndpointParts) {
    this.#parts = parts
    this.#clock = parts.clock ?? systemClock
    this.#ticks = parts.ticks ?? systemTicks
  }

  /**
   * @param wanted `access`: to be shown to a server, so it must say how
   * @param fresh what is good for one attempt only: made anew where the form is sent again
   * @throws Refused, BrokerUnavailable, NotTrusted
   */
  async ask(
    params: Readonly<Record<string, string | undefined>>,
    wanted: 'access' | 'handle',
    fresh?: Fresh,
  ): Promise<Granted> {
    const form = new URLSearchParams()
    for (const [name, value] of Object.entries(params)) if (value !== undefined) form.set(name, value)
    const { askedTicksMs, body } = await this.#post(form, ({ tokenEndpoint }) => tokenEndpoint, fresh)
    const granted = readGranted(body, { askedTicksMs, scope: params['scope'] })
    const isBound = granted.type === 'DPoP'
    if (wanted === 'access' && (granted.type === 'N_A' || isBound !== (this.#parts.proofs !== undefined))) {
      // Whoever asks for bound tokens is not to carry others by mistake.
      throw new NotTrusted(
        `the token endpoint gave a token of the type ${granted.type}, which is not what was asked for`,
      )
    }
    return granted
  }

  /** RFC 7009. @returns the broker's own report, unread */
  async revoke(token: Secret): Promise<Readonly<Record<string, unknown>>> {
    const form = new URLSearchParams({ token: token.reveal() })
    const { body } = await this.#post(form, ({ revocationEndpoint, issuer }) => {
      if (revocationEndpoint !== undefined) return revocationEndpoint
      throw new AgentError(`${issuer} has no revocation endpoint`)
    })
    return body
  }

  /** Another endpoint of the same issuer. @throws Refused, BrokerUnavailable, NotTrusted */
  async tell(
    url: string,
    json: Readonly<Record<string, unknown>>,
    headers: Readonly<Record<string, string>>,
  ): Promise<Readonly<Record<string, unknown>>> {
    const answer = await this.#parts.door({ url, form: new URLSearchParams(), json, headers }).catch(() => {
      throw new BrokerUnavailable(`the broker does not answer at ${new URL(url).origin}`)
    })
    this.#parts.proofs?.learn(url, answer.header('dpop-nonce'))
    if (answer.status === 200) return bodyOf(answer)
    throw failureOf(answer)
  }

  /** What a form and its headers carry besides, for who sends it themselves: to `metadata().tokenEndpoint` alone. */
  async authentication(grantType: string | undefined): Promise<Authentication> {
    const { issuer } = await this.metadata()
    return this.#parts.credential.authenticate({ issuer, clock: this.#clock, grantType })
  }

  get clientId(): string | undefined {
    return this.#parts.credential.clientId
  }

  metadata(): Promise<BrokerMetadata> {
    return this.#parts.metadata.get()
  }

  /** An answer that somebody else was given just now. @throws NotTrusted */
  read(body: Readonly<Record<string, unknown>>): Granted {
    return readGranted(body, { askedTicksMs: this.#ticks.ticksMs(), scope: undefined })
  }

  async #post(form: URLSearchParams, endpointOf: (metadata: BrokerMetadata) => string, fresh?: Fresh) {
    const metadata = await this.#parts.metadata.get()
    const url = endpointOf(metadata)
    let waitedMs = 0
    let hasNonce = false
    for (let attempt = 1; ; attempt += 1) {
      const once = await fresh?.()
      const askedTicksMs = this.#ticks.ticksMs()
      const answer = await this.#send(url, metadata.issuer, { ...Object.fromEntries(form), ...once })
      const learnt = this.#parts.proofs?.learn(url, answer.header('dpop-nonce')) ?? false
      if (answer.status === 200) return { askedTicksMs, body: bodyOf(answer) }
      const failure = failureOf(answer)
      if (learnt && !hasNonce && failure instanceof Refused && failure.facts.error === 'use_dpop_nonce') {
        hasNonce = true
        continue
      }
      if (!(failure instanceof BrokerUnavailable) || failure.retryAfterSeconds === undefined) throw failure
      const waitMs = failure.retryAfterSeconds * 1000
      if (attempt === ATTEMPTS_MAX || waitedMs + waitMs > WAIT_MS_MAX) throw failure
      waitedMs += waitMs
      await (this.#parts.wait ?? sleep)(waitMs)
    }
  }

  async #send(url: string, issuer: string, asked: Readonly<Record<string, string>>): Promise<FormAnswer> {
    const { credential, proofs, door } = this.#parts
    const form = new URLSearchParams(asked)
    const grantType = form.get('grant_type') ?? undefined
    const authentication = await credential.authenticate({ issuer, clock: this.#clock, grantType })
    for (const [name, value] of Object.entries(authentication.form)) form.set(name, value)
    const proof = await proofs?.proof({ method: 'POST', url })
    const headers = { ...authentication.headers, ...(proof === undefined ? {} : { dpop: proof }) }
    try {
      return await door({ url, form, headers })
    } catch {
      // The platform's error may carry the request: it is not passed on.
      throw new BrokerUnavailable(`the token endpoint does not answer at ${new URL(url).origin}`)
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

function bodyOf(answer: FormAnswer): Readonly<Record<string, unknown>> {
  try {
    const value = parseStrictJson(answer.text)
    if (isJsonObject(value)) return value
  } catch {
    // Said below, without the text: there may be a token in it.
  }
  throw new NotTrusted('the token endpoint answered with something other than a JSON object')
}

/** RFC 6749 §5.2. */
function failureOf(answer: FormAnswer): AgentError {
  const body = answer.status < 500 && answer.status !== 429 ? bodyOf(answer) : undefined
  if (body === undefined) {
    const after = retryAfter(answer.header('retry-after'))
    return new BrokerUnavailable(`the token endpoint cannot say at present (status ${answer.status})`, after)
  }
  const text = (name: string) => (typeof body[name] === 'string' ? plain(body[name]) : undefined)
  const missing = Array.isArray(body['missing']) ? body['missing'] : []
  return new Refused({
    status: answer.status,
    error: text('error') ?? 'unsaid',
    reason: text('error_reason'),
    description: text('error_description') ?? text('error') ?? `the token endpoint refused (status ${answer.status})`,
    missing: missing.filter((line) => typeof line === 'string').map(plain),
    decisionId: text('decision_id'),
  })
}

/** RFC 9110 §10.2.3, in seconds; a date is not waited for. */
function retryAfter(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : undefined
}

function readGranted(
  body: Readonly<Record<string, unknown>>,
  { askedTicksMs, scope }: { readonly askedTicksMs: number; readonly scope: string | undefined },
): Granted {
  const { access_token: text, token_type: type, expires_in: life, scope: granted = scope } = body
  if (typeof text !== 'string' || !TOKEN.test(text)) throw new NotTrusted('the token endpoint gave no usable token')
  const known = (['Bearer', 'DPoP', 'N_A'] as const).find((one) => one.toLowerCase() === String(type).toLowerCase())
  if (known === undefined) throw new NotTrusted('the token endpoint gave a token of a type that is not known here')
  if (life !== undefined && !(typeof life === 'number' && life > 0)) throw new NotTrusted('expires_in is no lifetime')
  return {
    token: new Secret(text),
    type: known,
    scopes: typeof granted === 'string' && granted !== '' ? readScope(granted) : [],
    lifeSeconds: life ?? UNSAID_LIFE_S,
    askedTicksMs,
    details: body['authorization_details'],
  }
}

function readScope(text: string): ScopeSet {
  try {
    return parseScope(text)
  } catch {
    throw new NotTrusted('the token endpoint gave a scope that is none')
  }
}
