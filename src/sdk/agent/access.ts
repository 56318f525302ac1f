/**
 * One holder's way to MCP servers: a token for each, and a `fetch` that carries it. A token goes to its own resource only (origin
 * and path, canonical), never through a redirect, and to nobody over plain http.
 *
 * 401: once more, with a fresh token. 403 `insufficient_scope`: once more, with what the server asks for beside what is held, if
 * the broker gives that; each distinct challenge is tried once. Where all of it is held, once more with a new token.
 */
import type { Ticks } from '../../kernel/clock.ts'
import { canonicalResource } from '../../protocol/resource.ts'
import { formatScope, isScopeSubset, parseScope, type ScopeSet, scopeSet } from '../../protocol/scope.ts'
import type { Fetch } from '../broker/http.ts'
import { AgentError, IdpRefused, OutsideIntent, Refused } from './agent-errors.ts'
import { type ReadChallenge, readChallenge } from './challenge-header.ts'
import type { DpopKey } from './dpop-key.ts'
import { readTold, type Told } from './refusal-body.ts'
import { type Call, readCall } from './replayable-call.ts'
import { isSecure } from './secure-url.ts'
import { type AccessToken, type Obtain, TokenCache } from './token-cache.ts'
import type { TokenEndpoint } from './token-endpoint.ts'
import type { TokenSeam } from './token-seam.ts'

export interface AccessParts {
  readonly obtain: Obtain
  /** What tokens are for; more are learnt where `learn` says so. */
  readonly resources: readonly string[]
  /** Scopes of the first token at a resource; without, all that was declared. */
  readonly startWith: Readonly<Record<string, string>>
  /** A server that nobody has named asks for a token: its resource, if it is to get one. */
  readonly learn: ((url: string, challenge: ReadChallenge | undefined) => Promise<string | undefined>) | undefined
  /** What was declared at a resource, in words. */
  declared(resource: string): string
  readonly proofs: DpopKey | undefined
  readonly fetch: Fetch
  readonly ticks: Ticks
}

/** Errand's verifier: it is not the scope that is missing, and no further one would help. */
const OUTSIDE_INTENT = 'outside_intent'
/** Distinct challenges remembered as tried, per holder. */
const TRIED_MAX = 256

export class Access {
  readonly #parts: AccessParts
  readonly tokens: TokenCache
  /** By canonical URL, as the broker spells it. */
  readonly #resources = new Map<string, string>()
  /** By the broker's spelling: what to ask for; absent: all that was declared. */
  readonly #wanted = new Map<string, ScopeSet>()
  readonly #tried = new Map<string, Promise<AccessToken | undefined>>()
  /** Asked for because another of the same scopes was refused; or that one, where there is no other. */
  readonly #replacements = new WeakSet<AccessToken>()

  constructor(parts: AccessParts) {
    this.#parts = parts
    this.tokens = new TokenCache(parts.obtain, parts.ticks)
    for (const resource of parts.resources) this.#know(resource)
    for (const [resource, scope] of Object.entries(parts.startWith)) {
      this.#wanted.set(this.spelling(resource), parseScope(scope))
    }
  }

  /** @param scope less than was declared. @throws AgentError */
  async token(resource: string, scope?: string): Promise<AccessToken> {
    const spelled = this.spelling(resource)
    return this.tokens.get(spelled, scope === undefined ? this.#wanted.get(spelled) : parseScope(scope))
  }

  /** As the broker knows it, where it is known. @throws AgentError for plain http */
  spelling(resource: string): string {
    if (!isSecure(resource)) throw new AgentError('a resource must be https, or on this machine')
    return this.#resources.get(canonicalResource(resource)) ?? resource
  }

  seam(resource: string, endpoint: TokenEndpoint, subject: TokenSeam['subject']): TokenSeam {
    const spelled = this.spelling(resource)
    return {
      resource: spelled,
      endpoint,
      subject,
      scopes: () => this.#wanted.get(spelled),
      current: () => this.token(spelled),
      reject: (token) => this.tokens.reject(token),
      adopt: (granted) => this.tokens.put(spelled, this.#wanted.get(spelled), granted),
    }
  }

  /** As `globalThis.fetch`; what is no resource of this holder's is called without a token. */
  readonly fetch: Fetch = async (input, init) => {
    const call = await readCall(input, init)
    const known = this.#resourceOf(call.url)
    if (known !== undefined) return this.#authorized(call, known)
    if (this.#parts.learn === undefined) return this.#parts.fetch(call.url, call.init())
    const response = await this.#parts.fetch(call.url, call.init())
    if (response.status !== 401 || !call.replayable || !isSecure(call.url)) return response
    const resource = await this.#learn(call.url, response)
    if (resource === undefined) return response
    await response.body?.cancel()
    return this.#authorized(call, resource)
  }

  async #learn(url: string, response: Response): Promise<string | undefined> {
    const challenge = readChallenge(response.headers.get('www-authenticate'))
    const resource = await this.#parts.learn?.(withoutQuery(url), challenge)
    if (resource === undefined) return undefined
    this.#know(resource)
    // What the server asks for, never all that its metadata list: that would be every scope it has.
    if (challenge?.scopes !== undefined && !this.#wanted.has(resource)) this.#wanted.set(resource, challenge.scopes)
    return resource
  }

  #know(resource: string): void {
    if (!isSecure(resource)) throw new AgentError('a resource must be https, or on this machine')
    this.#resources.set(canonicalResource(resource), resource)
  }

  #resourceOf(url: string): string | undefined {
    const spelled = (text: string) => this.#resources.get(canonicalResource(text))
    try {
      return spelled(withoutFragment(url)) ?? spelled(withoutQuery(url))
    } catch {
      return undefined // not a resource indicator at all
    }
  }

  async #authorized(call: Call, resource: string): Promise<Response> {
    const token = await this.token(resource)
    const response = await this.#send(call, token)
    if (response.status === 403) return this.#refused(call, { resource, token, response })
    if (response.status !== 401) return response
    this.tokens.reject(token)
    // The caller hears of an ended session here, and not of a token that is refused.
    const fresh = await this.token(resource)
    if (!call.replayable) return response
    await response.body?.cancel()
    const second = await this.#send(call, fresh)
    if (second.status === 401) this.tokens.reject(fresh)
    return second.status === 403 ? this.#refused(call, { resource, token: fresh, response: second }) : second
  }

  async #send(call: Call, token: AccessToken): Promise<Response> {
    const { proofs } = this.#parts
    for (let isRepeat = false; ; isRepeat = true) {
      const headers = new Headers(call.headers)
      headers.set('authorization', `${token.type} ${token.secret.reveal()}`)
      if (token.type === 'DPoP' && proofs !== undefined) {
        headers.set('dpop', await proofs.proof({ method: call.method, url: call.url, token: token.secret }))
      }
      // A redirect would carry the token to wherever the server says.
      const response = await this.#parts.fetch(call.url, { ...call.init(), headers, redirect: 'manual' })
      const learnt = proofs?.learn(call.url, response.headers.get('dpop-nonce') ?? undefined) ?? false
      const asksForNonce = response.status === 401 && learnt && !isRepeat && call.replayable
      if (!asksForNonce) return response
      await response.body?.cancel()
    }
  }

  /** RFC 6750 §3.1, MCP: the challenge names all that the call needs; what is held is kept beside it. */
  async #refused(
    call: Call,
    { resource, token, response }: { resource: string; token: AccessToken; response: Response },
  ): Promise<Response> {
    const challenge = readChallenge(response.headers.get('www-authenticate'))
    if (!isAboutAuthority(challenge)) return response
    const asked = challenge.error === OUTSIDE_INTENT ? [] : (challenge.scopes ?? [])
    const told = await readTold(response)
    const more = await this.#more(resource, asked, token)
    if (more === undefined || !call.replayable) throw this.#outside(resource, challenge, told)
    const second = await this.#send(call, more)
    const again = second.status === 403 ? readChallenge(second.headers.get('www-authenticate')) : undefined
    if (!isAboutAuthority(again)) return second
    throw this.#outside(resource, again, await readTold(second))
  }

  #outside(resource: string, { scopes = [], description: said }: ReadChallenge, told: Told): OutsideIntent {
    return new OutsideIntent({ resource, scopes, said, declared: this.#parts.declared(resource), told })
  }

  /** `undefined`: nothing the broker gives would help. */
  async #more(resource: string, asked: ScopeSet, token: AccessToken): Promise<AccessToken | undefined> {
    if (!isScopeSubset(asked, token.scopes)) return this.#stepUp(resource, asked, token.scopes)
    // Held already, and not enough: something was cut off since this token was issued, which a new one may open again. For a
    // server that only says so, one more is asked for in the life of each.
    if (asked.length === 0 || this.#replacements.has(token)) return undefined
    try {
      const fresh = await this.tokens.replace(resource, this.#wanted.get(resource), token)
      this.#replacements.add(fresh)
      return fresh
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.#replacements.add(token)
      return undefined
    }
  }

  /** `undefined`: the broker does not give it. */
  async #stepUp(resource: string, asked: ScopeSet, held: ScopeSet): Promise<AccessToken | undefined> {
    const union = scopeSet([...held, ...asked])
    const now = this.#wanted.get(resource)
    // Another call was faster with the same.
    if (now !== undefined && isScopeSubset(union, now)) return this.#ifItHas(asked, await this.token(resource))
    const attempt = `${resource} ${formatScope(asked)}`
    const tried = this.#tried.get(attempt)
    if (tried !== undefined) return tried
    if (this.#tried.size >= TRIED_MAX) return undefined
    // Whoever is refused with the same meanwhile waits for the same answer.
    const flight = this.#askFor(resource, union, asked)
    this.#tried.set(attempt, flight)
    return flight.catch((error: unknown) => {
      this.#tried.delete(attempt)
      throw error
    })
  }

  /** `undefined`: refused for good. @throws where nobody could say, or the session has ended */
  async #askFor(resource: string, union: ScopeSet, asked: ScopeSet): Promise<AccessToken | undefined> {
    try {
      const token = this.#ifItHas(asked, await this.tokens.get(resource, union))
      if (token !== undefined) this.#wanted.set(resource, union)
      return token
    } catch (error) {
      // Who does not take a sign-in has said nothing about the scope.
      const isAboutScope = !(error instanceof IdpRefused) || error.isOfTarget
      if (error instanceof Refused && isAboutScope) return undefined
      throw error
    }
  }

  #ifItHas(asked: ScopeSet, token: AccessToken): AccessToken | undefined {
    return isScopeSubset(asked, token.scopes) ? token : undefined
  }
}

function isAboutAuthority(challenge: ReadChallenge | undefined): challenge is ReadChallenge {
  return challenge?.error === OUTSIDE_INTENT || challenge?.error === 'insufficient_scope'
}

function withoutQuery(url: string): string {
  const { origin, pathname } = new URL(url)
  return `${origin}${pathname}`
}

function withoutFragment(url: string): string {
  const { origin, pathname, search } = new URL(url)
  return `${origin}${pathname}${search}`
}
