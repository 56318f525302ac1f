/**
 * Enterprise-managed authorization (MCP EMA, SEP-990): access for a user whom an enterprise's identity provider sends. Each access
 * token costs a new ID-JAG, asked of that provider for one resource, looked at, and shown to the configured broker alone: one that
 * is for anybody else, or anything else, is not sent at all.
 *
 * Does not check: signatures. The broker does, and whether policy lets this user and this agent do it.
 */
import { decodeJwt } from '../../jose/decode-jws.ts'
import { JwtError } from '../../jose/jwt-error.ts'
import type { Ticks } from '../../kernel/clock.ts'
import { Secret } from '../../kernel/secret.ts'
import { GRANT_TYPE, JWT_TYP, TOKEN_TYPE } from '../../protocol/oauth.ts'
import { formatScope, type ScopeSet } from '../../protocol/scope.ts'
import type { Fetch } from '../broker/http.ts'
import { Access, type AccessParts } from './access.ts'
import { BrokerUnavailable, IdpRefused, IdpUnavailable, NotTrusted, Refused } from './agent-errors.ts'
import type { Credential } from './credential.ts'
import type { DpopKey } from './dpop-key.ts'
import { type RequestOfToken, tokenHeaders } from './headers.ts'
import { type Intent, intentDetails, type Tools } from './intent.ts'
import { canonicalOf } from './resource-metadata.ts'
import type { AccessToken } from './token-cache.ts'
import type { Granted, TokenEndpoint } from './token-endpoint.ts'

/** What an ID-JAG is to be for. */
export interface AskedIdJag {
  /** The broker's issuer identifier. */
  readonly audience: string
  readonly resource: string
  /** `undefined`: all that the enterprise allows. */
  readonly scope: string | undefined
}

export interface EnterpriseIdp {
  /** Its issuer identifier, exactly as it prints it. Nobody else is sent the ID token. */
  readonly issuer: string
  /** This agent's own there: of the client that the ID token is for. */
  readonly credential: Credential
}

/** Where ID-JAGs come from: the user's ID token, exchanged at the provider; or whoever else brings one. */
export type IdJagSource =
  | {
      readonly idp: EnterpriseIdp
      /** A function is asked each time: ID tokens end before work does. */
      readonly idToken: string | (() => string | Promise<string>)
      readonly idJag?: never
    }
  | {
      /** Gives a new one each time: it can be redeemed once. */
      readonly idJag: (asked: AskedIdJag) => string | Promise<string>
      readonly idp?: never
      readonly idToken?: never
    }

export type EnterpriseOptions = IdJagSource & {
  /** What for. Default: the standing intent of the agent's registry entry, else of the resource's. */
  readonly intent?: Intent<Tools>
  /** MCP servers that are known beforehand. Others are asked what they are, before they get a token. */
  readonly resources?: readonly string[]
  /** By resource, the scopes of the first token; more by step-up. Default: all that is granted. */
  readonly startWith?: Readonly<Record<string, string>>
}

export interface EnterpriseParts {
  readonly broker: string
  readonly endpoint: TokenEndpoint
  readonly endpointOf: (idp: EnterpriseIdp) => TokenEndpoint
  readonly instance: string | undefined
  readonly proofs: DpopKey | undefined
  readonly learn: AccessParts['learn']
  readonly fetch: Fetch
  readonly ticks: Ticks
}

type Bring = (asked: AskedIdJag) => Promise<string>

/** ID-JAGs remembered as redeemed, per user: as many as live at once, and more. */
const REDEEMED_MAX = 256

/** One user, as one agent works for them: tokens are kept per resource here, so keep it while they work. Never share it. */
export class EnterpriseUser {
  readonly #parts: EnterpriseParts
  readonly #intent: Intent<Tools> | undefined
  readonly #bring: Bring
  readonly #access: Access
  readonly #redeemed = new Set<string>()

  constructor(parts: EnterpriseParts, options: EnterpriseOptions) {
    const { intent, startWith = {} } = options
    const { proofs, learn, fetch, ticks } = parts
    this.#parts = parts
    this.#intent = intent
    this.#bring = bringing(options, parts.endpointOf)
    this.#access = new Access({
      obtain: (resource, scopes) => this.#redeem(resource, scopes),
      resources: options.resources ?? Object.keys(intent?.tools ?? {}),
      startWith,
      learn,
      declared: () => intent?.purpose ?? 'the standing intent of this agent, or of the server',
      proofs,
      fetch,
      ticks,
    })
  }

  /** As `globalThis.fetch`. @throws IdpRefused, IdpUnavailable, OutsideIntent, BrokerUnavailable, NotTrusted, Refused */
  readonly fetch: Fetch = (input, init) => this.#access.fetch(input, init)

  /** @param options.scope less than all that is allowed there. @throws AgentError */
  token(options: { readonly resource: string; readonly scope?: string }): Promise<AccessToken> {
    return this.#access.token(options.resource, options.scope)
  }

  /** For what takes headers only. @param request needed with `dpop`: a proof is for one request */
  async headers(resource: string, request?: RequestOfToken): Promise<Record<string, string>> {
    return tokenHeaders(await this.#access.token(resource), this.#parts.proofs, request)
  }

  /** The server has refused it (401): the next one is fresh. */
  rejected(token: AccessToken): void {
    this.#access.tokens.reject(token)
  }

  #redeem(resource: string, scopes: ScopeSet | undefined): Promise<Granted> {
    const { broker, endpoint, instance } = this.#parts
    const scope = scopes === undefined ? undefined : formatScope(scopes)
    const intent = this.#intent
    const form = {
      grant_type: GRANT_TYPE.jwtBearer,
      resource,
      scope,
      agent_instance: instance,
      authorization_details: intent === undefined ? undefined : intentDetails(intent),
    }
    const asked = { audience: broker, resource, scope }
    // A new one for each attempt: nobody knows whether the broker had used up the last before it said "later".
    return endpoint.ask(form, 'access', async () => ({
      assertion: this.#once(idJagFor(asked, await this.#bring(asked))),
    }))
  }

  /** EMA §7.4.2: single use. @returns its text */
  #once(idJag: Secret): string {
    const fingerprint = idJag.fingerprint()
    if (this.#redeemed.has(fingerprint)) throw new NotTrusted('this ID-JAG was redeemed before: each is good for once')
    for (const oldest of this.#redeemed) {
      if (this.#redeemed.size < REDEEMED_MAX) break
      this.#redeemed.delete(oldest)
    }
    this.#redeemed.add(fingerprint)
    return idJag.reveal()
  }
}

function bringing(source: IdJagSource, endpointOf: EnterpriseParts['endpointOf']): Bring {
  if (source.idJag !== undefined) return async (asked) => source.idJag(asked)
  const { idp, idToken } = source
  const endpoint = endpointOf(idp)
  // So that it does not print itself where its holder is logged.
  const kept = typeof idToken === 'string' ? new Secret(idToken) : undefined
  const read = typeof idToken === 'string' ? async () => kept?.reveal() ?? '' : async () => idToken()
  return async ({ audience, resource, scope }) => {
    const asked = {
      grant_type: GRANT_TYPE.tokenExchange,
      requested_token_type: TOKEN_TYPE.idJag,
      subject_token: (await read()).trim(),
      subject_token_type: TOKEN_TYPE.idToken,
      audience,
      resource,
      scope,
    }
    try {
      return (await endpoint.ask(asked, 'handle')).token.reveal()
    } catch (error) {
      if (error instanceof Refused) throw new IdpRefused(idp.issuer, error.facts)
      if (error instanceof BrokerUnavailable) throw new IdpUnavailable(error.message, error.retryAfterSeconds)
      throw error
    }
  }
}

/**
 * EMA §7.6: audience and resource are a pair. What is no ID-JAG (an ID token, an access token), or one for another server, would be
 * given away; one for another resource would have its access token shown to this one.
 */
function idJagFor({ audience, resource }: AskedIdJag, text: string): Secret {
  const token = new Secret(text.trim())
  const { header, claims } = decoded(token)
  if (header.typ !== JWT_TYP.idJag) throw new NotTrusted('what was brought is no ID-JAG: it was not sent')
  const { aud, resource: named } = claims
  const [sole, ...others] = Array.isArray(aud) ? aud : [aud]
  if (sole !== audience || others.length > 0) {
    throw new NotTrusted(`the ID-JAG is for another authorization server than ${audience}: it was not sent`)
  }
  const wanted = canonicalOf(resource)
  const resources: readonly unknown[] = Array.isArray(named) ? named : [named]
  const isNamed = (one: unknown) => typeof one === 'string' && canonicalOf(one) === wanted
  if (wanted !== undefined && resources.some(isNamed)) return token
  throw new NotTrusted(`the ID-JAG does not name ${resource}: it was not sent`)
}

function decoded(token: Secret) {
  try {
    return decodeJwt(token)
  } catch (error) {
    if (error instanceof JwtError) throw new NotTrusted('what was brought is no ID-JAG: it was not sent')
    throw error
  }
}
