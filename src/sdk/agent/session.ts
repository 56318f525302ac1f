/**
 * A session as its agent holds it: what was granted, tokens for its resources, and the parts of it that are passed on. The
 * session token never leaves this object but to the broker.
 */
import { parseDetails } from '../../authority/details.ts'
import { decodeJwt } from '../../jose/decode-jws.ts'
import type { Ticks } from '../../kernel/clock.ts'
import type { Secret } from '../../kernel/secret.ts'
import { GRANT_TYPE, TOKEN_TYPE } from '../../protocol/oauth.ts'
import { formatScope, type ScopeSet } from '../../protocol/scope.ts'
import type { Fetch } from '../broker/http.ts'
import { Access } from './access.ts'
import { NotTrusted, Refused, SessionEnded } from './agent-errors.ts'
import { Delegation } from './delegation.ts'
import type { DpopKey } from './dpop-key.ts'
import { type RequestOfToken, tokenHeaders } from './headers.ts'
import { type Constraints, declaredAt, type Part, type ResourceOf, type ToolOf, type Tools } from './intent.ts'
import { delegationDetails, type Held } from './narrower.ts'
import type { AccessToken } from './token-cache.ts'
import type { Granted, TokenEndpoint } from './token-endpoint.ts'
import type { TokenSeam } from './token-seam.ts'
import { Traces, type TraceTaken } from './traces.ts'

export interface SessionParts {
  readonly endpoint: TokenEndpoint
  readonly proofs: DpopKey | undefined
  readonly fetch: Fetch
  readonly ticks: Ticks
  readonly startWith: Readonly<Record<string, string>>
}

export interface DelegateOptions<T extends Tools, N extends ToolOf<T>> {
  /** Client id of the one sub-agent that can accept it. */
  readonly to: string
  /** What it is to do, in one sentence. */
  readonly purpose: string
  readonly tools: readonly N[]
  /** Default: every resource that has one of the tools. */
  readonly resources?: readonly ResourceOf<T>[]
  /** Tightens arguments; what is not named stays as it is held. */
  readonly constraints?: Constraints<T, NoInfer<N>>
  readonly maxCalls?: number
  /** Seconds. */
  readonly expiresIn?: number
  /** Hops that it may pass on itself: none, unless said. */
  readonly maxDepth?: number
}

/** What can be done with a session whatever it was opened for. */
export interface AnySession {
  readonly id: string
  readonly expiresAt: number
  readonly fetch: Fetch
  token(options: { readonly resource: string; readonly scope?: string }): Promise<AccessToken>
  headers(resource: string, request?: RequestOfToken): Promise<Record<string, string>>
  rejected(token: AccessToken): void
  close(): Promise<Readonly<Record<string, unknown>>>
  /** @internal */
  seam(resource: string): TokenSeam
}

/** The broker's `error_reason`s for a session token that opens nothing any more. */
const OVER: ReadonlySet<string | undefined> = new Set([
  'session_absent',
  'session_expired',
  'node_revoked',
  'subject_token_expired',
  'subject_token_revoked',
])
/** The same, until somebody acts: asked again, but not by every call. */
const HELD_UP: ReadonlySet<string | undefined> = new Set(['session_not_issuing', 'principal_blocked', 'agent_inactive'])

const ASK_AGAIN_MS = 1_000

export class Session<T extends Tools = Tools> implements AnySession {
  /** `ses_…`: what records and reviewers call it. */
  readonly id: string
  /** Epoch seconds. */
  readonly expiresAt: number
  /** What was granted, which may be less than what was asked for. */
  readonly granted: Held
  readonly scopes: ScopeSet
  readonly #parts: SessionParts
  readonly #handle: Secret
  readonly #access: Access
  #traces: Traces | undefined
  #ended: { readonly how: SessionEnded; readonly untilTicksMs: number } | undefined

  constructor(parts: SessionParts, granted: Granted) {
    const { claims } = decodeJwt(granted.token)
    const [id, exp] = [claims['sid'], claims['exp']]
    if (typeof id !== 'string' || typeof exp !== 'number') throw new NotTrusted('the broker gave no session token')
    this.id = id
    this.expiresAt = exp
    this.granted = parseDetails(granted.details ?? claims['authorization_details']).tools
    this.scopes = granted.scopes
    this.#parts = parts
    this.#handle = granted.token
    const { proofs, fetch, ticks, startWith } = parts
    const resources = [...this.granted.keys()]
    const declared = (url: string) => declaredAt(this.granted, url)
    const obtain = (resource: string, scopes: ScopeSet | undefined) => this.#continue(resource, scopes)
    this.#access = new Access({ obtain, resources, startWith, declared, learn: undefined, proofs, fetch, ticks })
  }

  /**
   * As `globalThis.fetch`, with this session's token for each of its resources: give it to whatever speaks MCP. Anything else is
   * called without a token. @throws SessionEnded, OutsideIntent, BrokerUnavailable
   */
  readonly fetch: Fetch = (input, init) => this.#access.fetch(input, init)

  /** @param options.scope less than all that was granted there. @throws AgentError */
  token(options: { readonly resource: ResourceOf<T>; readonly scope?: string }): Promise<AccessToken> {
    return this.#access.token(options.resource, options.scope)
  }

  /** For what takes headers only. @param request needed where tokens are bound (`dpop`): a proof is for one request */
  async headers(resource: ResourceOf<T>, request?: RequestOfToken): Promise<Record<string, string>> {
    return tokenHeaders(await this.#access.token(resource), this.#parts.proofs, request)
  }

  /** The server has refused it (401): the next one is fresh. */
  rejected(token: AccessToken): void {
    this.#access.tokens.reject(token)
  }

  /** @throws Refused; where it is more than what is held, before anything is sent */
  async delegate<const N extends ToolOf<T>>(options: DelegateOptions<T, N>): Promise<Delegation<Session<Part<T, N>>>> {
    this.#assertOpen()
    const { to, purpose, tools, resources, constraints = {}, maxCalls, expiresIn, maxDepth } = options
    const asked = { purpose, tools, resources, constraints, maxCalls, expiresIn, maxDepth }
    const details = delegationDetails(asked, this.granted)
    const granted = await this.#ask(
      { requested_token_type: TOKEN_TYPE.delegation, audience: to, authorization_details: details },
      'handle',
    )
    return new Delegation(to, granted.token, granted.lifeSeconds)
  }

  /**
   * What the agent is thinking, for whoever looks into this work later: beside the records of this session, as far as the broker
   * captures it. @throws Refused, BrokerUnavailable
   */
  trace(text: string): Promise<TraceTaken> {
    this.#traces ??= new Traces(this.#parts)
    return this.#traces.tell(this.id, text)
  }

  /** Ends it, and all that was passed on of it. @returns the broker's report of what died */
  async close(): Promise<Readonly<Record<string, unknown>>> {
    this.#end(new SessionEnded(this.id, 'closed', 'it was closed'), Number.POSITIVE_INFINITY)
    return this.#parts.endpoint.revoke(this.#handle)
  }

  /** @internal for `mcp.ts`: SDKs that make the token request themselves. */
  seam(resource: ResourceOf<T>): TokenSeam {
    const { endpoint } = this.#parts
    return this.#access.seam(resource, endpoint, () => {
      this.#assertOpen()
      return this.#subject()
    })
  }

  #continue(resource: string, scopes: ScopeSet | undefined): Promise<Granted> {
    return this.#ask({ resource, scope: scopes === undefined ? undefined : formatScope(scopes) }, 'access')
  }

  #subject(): Readonly<Record<string, string>> {
    return {
      grant_type: GRANT_TYPE.tokenExchange,
      subject_token: this.#handle.reveal(),
      subject_token_type: TOKEN_TYPE.session,
    }
  }

  async #ask(params: Readonly<Record<string, string | undefined>>, wanted: 'access' | 'handle'): Promise<Granted> {
    this.#assertOpen()
    try {
      return await this.#parts.endpoint.ask({ ...this.#subject(), ...params }, wanted)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      const { reason, description } = error.facts
      if (!OVER.has(reason) && !HELD_UP.has(reason)) throw error
      const ended = new SessionEnded(this.id, reason ?? 'unsaid', description)
      const isForGood = OVER.has(reason)
      this.#end(ended, isForGood ? Number.POSITIVE_INFINITY : this.#parts.ticks.ticksMs() + ASK_AGAIN_MS)
      throw ended
    }
  }

  #assertOpen(): void {
    if (this.#ended !== undefined && this.#parts.ticks.ticksMs() < this.#ended.untilTicksMs) throw this.#ended.how
  }

  /** Tokens of a session that is over are not used until they end: whoever ended it meant now. */
  #end(how: SessionEnded, untilTicksMs: number): void {
    this.#ended = { how, untilTicksMs }
    this.#access.tokens.clear()
  }
}
