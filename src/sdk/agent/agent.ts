/**
 * An agent's end of Errand: it says who it is, opens sessions for what it is asked to do, and calls MCP servers with tokens that
 * are fresh, narrow and nobody else's. Everything stays in memory; nothing of it is in an error.
 */
import { JwtError } from '../../jose/jwt-error.ts'
import { type Clock, systemClock, systemTicks, type Ticks } from '../../kernel/clock.ts'
import { Secret } from '../../kernel/secret.ts'
import { GRANT_TYPE, TOKEN_TYPE } from '../../protocol/oauth.ts'
import { formatScope, type ScopeSet } from '../../protocol/scope.ts'
import { fittingForm } from '../broker/fitting.ts'
import type { Fetch, FormDoor, JsonDoor } from '../broker/http.ts'
import { tracedDoors } from '../broker/trace.ts'
import { Access, type AccessParts } from './access.ts'
import { NotTrusted } from './agent-errors.ts'
import { MetadataSource } from './broker-metadata.ts'
import type { Credential } from './credential.ts'
import { DpopKey } from './dpop-key.ts'
import { type EnterpriseOptions, type EnterpriseParts, EnterpriseUser } from './enterprise.ts'
import { type RequestOfToken, tokenHeaders } from './headers.ts'
import { type Intent, intentDetails, type Tools } from './intent.ts'
import { protectedResource } from './resource-metadata.ts'
import { isSecure } from './secure-url.ts'
import { Session, type SessionParts } from './session.ts'
import { type UserToken, userSubject, workloadSubject } from './subject.ts'
import type { AccessToken } from './token-cache.ts'
import { type Granted, TokenEndpoint } from './token-endpoint.ts'
import type { TokenSeam } from './token-seam.ts'

export {
  AgentError,
  BrokerUnavailable,
  IdpRefused,
  IdpUnavailable,
  NotTrusted,
  OutsideIntent,
  Refused,
  SessionEnded,
} from './agent-errors.ts'
export { type Credential, clientSecret, privateKeyJwt, workloadJwt } from './credential.ts'
export type { Delegation } from './delegation.ts'
export type { AskedIdJag, EnterpriseIdp, EnterpriseOptions, EnterpriseUser } from './enterprise.ts'
export type { ArgumentRule, Intent, Origin, ToolArguments, Tools } from './intent.ts'
export type { AnySession, DelegateOptions, Session } from './session.ts'
export type { UserToken } from './subject.ts'
export type { AccessToken } from './token-cache.ts'

export interface AgentOptions {
  /** The broker's issuer identifier, exactly as it prints it. No other server is ever sent the credential. */
  readonly broker: string
  readonly credential: Credential
  /** Binds every token to a key of this process (RFC 9449). Default: false. */
  readonly dpop?: boolean
  /** Self-description of this running copy, for the records; authorizes nothing. */
  readonly instance?: string
  /** Of work on its own: MCP servers that are known beforehand. Others are asked what they are, before they get a token. */
  readonly resources?: readonly string[]
  /** Of work on its own: what for. Default: the standing intent of the agent's registry entry. */
  readonly intent?: Intent<Tools>
  /** Of work on its own: by resource, the scopes of the first token; more by step-up. Default: all that is granted. */
  readonly startWith?: Readonly<Record<string, string>>
  /** What MCP servers are called with. Default: the platform's. */
  readonly fetch?: Fetch
  /** `traceparent` of what is being done now, as a tracing library has it: goes to the broker and to MCP servers. Default: none. */
  readonly traceparent?: () => string | undefined
  readonly door?: JsonDoor
  readonly forms?: FormDoor
  readonly clock?: Clock
  readonly ticks?: Ticks
  /** How it waits where the broker is busy. */
  readonly wait?: (ms: number) => Promise<void>
}

export interface OpenOptions<T extends Tools> {
  readonly intent: Intent<T>
  /** The user's own token, meant for this agent: the session is theirs. */
  readonly onBehalfOf?: string | UserToken
  /** In its place: a token of the agent's workload, another than it authenticates with. The session is the agent's own. */
  readonly asItself?: string
  /** What the user has said, in their words: for the broker's records, as far as it captures that. */
  readonly prompt?: string
  /** By resource, the scopes of the first token; more by step-up. Default: all that was granted. */
  readonly startWith?: { readonly [R in keyof NoInfer<T>]?: string }
}

/** @throws TypeError where the broker is not https, or this machine */
export function createAgent(options: AgentOptions): Agent {
  return new Agent(options)
}

export class Agent {
  /** The broker's issuer identifier. */
  readonly broker: string
  readonly #options: AgentOptions
  readonly #endpoint: TokenEndpoint
  readonly #endpointOf: EnterpriseParts['endpointOf']
  readonly #learn: AccessParts['learn']
  readonly #proofs: DpopKey | undefined
  readonly #access: Access
  readonly #network: { readonly fetch: Fetch; readonly ticks: Ticks }

  constructor(options: AgentOptions) {
    const { broker, credential, clock = systemClock, ticks = systemTicks } = options
    const { door, forms, fetch } = tracedDoors(options)
    if (!isSecure(broker)) throw new TypeError('broker must be an https URL, or on this machine')
    this.broker = broker
    this.#options = options
    this.#proofs = options.dpop === true ? new DpopKey(clock) : undefined
    const proofs = this.#proofs
    this.#endpointOf = (server) =>
      new TokenEndpoint({
        metadata: new MetadataSource(server.issuer, door, ticks),
        credential: server.credential,
        proofs,
        door: forms,
        clock,
        ticks,
        ...(options.wait === undefined ? {} : { wait: options.wait }),
      })
    this.#endpoint = this.#endpointOf({ issuer: broker, credential })
    this.#learn = (url, challenge) => protectedResource(url, challenge?.resourceMetadata, { issuer: broker, door })
    this.#network = { fetch, ticks }
    this.#access = new Access({
      obtain: (resource, scopes) => this.#byItself(resource, scopes),
      resources: options.resources ?? Object.keys(options.intent?.tools ?? {}),
      startWith: options.startWith ?? {},
      learn: this.#learn,
      declared: () => options.intent?.purpose ?? 'the standing intent of this agent',
      proofs,
      fetch,
      ticks,
    })
  }

  /** As `globalThis.fetch`, for work of its own. @throws OutsideIntent, BrokerUnavailable, NotTrusted, Refused */
  readonly fetch: Fetch = (input, init) => this.#access.fetch(input, init)

  /** For work of its own. @throws AgentError */
  token(options: { readonly resource: string; readonly scope?: string }): Promise<AccessToken> {
    return this.#access.token(options.resource, options.scope)
  }

  /** For what takes headers only. @param request needed with `dpop`: a proof is for one request */
  async headers(resource: string, request?: RequestOfToken): Promise<Record<string, string>> {
    return tokenHeaders(await this.#access.token(resource), this.#proofs, request)
  }

  /** The server has refused it (401): the next one is fresh. */
  rejected(token: AccessToken): void {
    this.#access.tokens.reject(token)
  }

  /** @internal for `mcp.ts`: SDKs that make the token request themselves. */
  seam(resource: string): TokenSeam {
    return this.#access.seam(resource, this.#endpoint, () => this.#own())
  }

  /** @throws Refused, BrokerUnavailable, TypeError where it is nobody's, or two's */
  async openSession<const T extends Tools>(options: OpenOptions<T>): Promise<Session<T>> {
    const { intent, onBehalfOf, asItself, prompt, startWith = {} } = options
    if ((onBehalfOf === undefined) === (asItself === undefined)) {
      throw new TypeError('a session is for a user (onBehalfOf), or of the agent itself (asItself)')
    }
    const subject = asItself === undefined ? userSubject(onBehalfOf ?? '') : workloadSubject(asItself)
    const asked = { authorization_details: intentDetails(intent), user_prompt: prompt && fittingForm(prompt) }
    const granted = await this.#exchange({ ...subject, ...asked })
    return new Session<T>(this.#session(startWith as Readonly<Record<string, string>>), granted)
  }

  /** For a user whom their enterprise sends by ID-JAG (MCP EMA). @throws TypeError where the provider is not https, or this machine */
  enterpriseUser(options: EnterpriseOptions): EnterpriseUser {
    const { broker } = this
    if (options.idp !== undefined && !isSecure(options.idp.issuer)) {
      throw new TypeError('idp.issuer must be an https URL, or on this machine')
    }
    const here = { broker, endpoint: this.#endpoint, endpointOf: this.#endpointOf, learn: this.#learn }
    return new EnterpriseUser(
      { ...this.#network, ...here, proofs: this.#proofs, instance: this.#options.instance },
      options,
    )
  }

  /** A delegation made in another process (`delegation.token()`). @throws Refused, BrokerUnavailable */
  async accept<T extends Tools = Tools>(token: string): Promise<Session<T>> {
    const subject = { subject_token: token.trim(), subject_token_type: TOKEN_TYPE.delegation }
    return new Session<T>(this.#session({}), await this.#exchange(subject))
  }

  /** A session of this agent that was opened elsewhere. @param token the session token. @throws NotTrusted */
  resume<T extends Tools = Tools>(token: string): Session<T> {
    const secret = new Secret(token.trim())
    const opened = { type: 'N_A', scopes: [], lifeSeconds: 0, askedTicksMs: 0, details: undefined } as const
    try {
      return new Session<T>(this.#session({}), { ...opened, token: secret })
    } catch (error) {
      if (error instanceof JwtError) throw new NotTrusted('this is no session token')
      throw error
    }
  }

  #exchange(params: Readonly<Record<string, string | undefined>>): Promise<Granted> {
    const asked = { grant_type: GRANT_TYPE.tokenExchange, requested_token_type: TOKEN_TYPE.session }
    return this.#endpoint.ask({ ...asked, agent_instance: this.#options.instance, ...params }, 'handle')
  }

  #byItself(resource: string, scopes: ScopeSet | undefined): Promise<Granted> {
    const scope = scopes === undefined ? undefined : formatScope(scopes)
    return this.#endpoint.ask({ ...this.#own(), resource, scope }, 'access')
  }

  #own(): Readonly<Record<string, string>> {
    const { intent, instance } = this.#options
    return {
      grant_type: GRANT_TYPE.clientCredentials,
      ...(intent === undefined ? {} : { authorization_details: intentDetails(intent) }),
      ...(instance === undefined ? {} : { agent_instance: instance }),
    }
  }

  #session(startWith: Readonly<Record<string, string>>): SessionParts {
    return { ...this.#network, endpoint: this.#endpoint, proofs: this.#proofs, startWith }
  }
}
