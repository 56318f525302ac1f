/**
 * The tree of tokens that a drill revokes: a session of its own agent with access tokens, a delegation that its sub-agent has
 * accepted, and that one's access tokens. Where the agent has no evidence for a session, single access tokens, each in its own.
 */
import { signJwt } from '../../jose/sign-jwt.ts'
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { newJti } from '../../kernel/ids.ts'
import { Secret } from '../../kernel/secret.ts'
import { ENDPOINT, GRANT_TYPE, TOKEN_TYPE } from '../../protocol/oauth.ts'
import type { BrokerClient } from '../broker-client.ts'
import { CommandFailure } from '../failures.ts'
import { arrayOf, type JsonObject, jsonObject, numberIn } from '../json-fields.ts'
import { askPatiently, type Speaker } from './speaker.ts'

const TOKENS_PER_HOP = 3
/** Of evidence that the drill signs itself: its session ends with it, should nothing else end it. */
const EVIDENCE_LIFETIME_S = 300
const PURPOSE = 'Revocation drill'

export interface Growers {
  readonly agent: Speaker
  readonly subAgent: Speaker | undefined
  readonly resource: string
  /** A JWT that opens a session of the agent; `undefined`: it has none. */
  readonly evidence: (() => Promise<Secret>) | undefined
}

export class Tree {
  /** What ends all of it. */
  readonly roots: Secret[] = []
  /** What verifiers are shown. */
  readonly tokens: Secret[] = []
  hops = 0
  /** When the first of the tokens ends by itself, in milliseconds of `performance.now()`. */
  endsMs = Number.POSITIVE_INFINITY

  /** Grows at one broker. What there is of it when that fails can be ended. @throws BrokerRefusal, CommandFailure */
  async grow(growers: Growers, broker: BrokerClient): Promise<void> {
    const { agent, subAgent, resource, evidence } = growers
    if (evidence === undefined) {
      for (let count = 0; count < TOKENS_PER_HOP; count += 1) {
        this.roots.push(await this.#leaf(agent, broker, { grant_type: GRANT_TYPE.clientCredentials, resource }))
      }
      this.hops = 1
      return
    }
    const asked = { subject_token_type: TOKEN_TYPE.jwt, requested_token_type: TOKEN_TYPE.session }
    const opened = await exchange(agent, broker, { subject_token: (await evidence()).reveal(), ...asked })
    const session = tokenOf(opened)
    this.roots.push(session)
    await this.#hop(agent, broker, session, resource)
    if (subAgent === undefined) return
    const delegated = await exchange(agent, broker, {
      subject_token: session.reveal(),
      subject_token_type: TOKEN_TYPE.session,
      requested_token_type: TOKEN_TYPE.delegation,
      audience: subAgent.clientId,
      ...less(opened, resource),
    })
    const accepted = await exchange(subAgent, broker, {
      subject_token: tokenOf(delegated).reveal(),
      subject_token_type: TOKEN_TYPE.delegation,
      requested_token_type: TOKEN_TYPE.session,
    })
    await this.#hop(subAgent, broker, tokenOf(accepted), resource)
  }

  async #hop(speaker: Speaker, broker: BrokerClient, session: Secret, resource: string): Promise<void> {
    const subject = { subject_token: session.reveal(), subject_token_type: TOKEN_TYPE.session, resource }
    this.hops += 1
    for (let count = 0; count < TOKENS_PER_HOP; count += 1) {
      await this.#leaf(speaker, broker, { grant_type: GRANT_TYPE.tokenExchange, ...subject })
    }
  }

  async #leaf(speaker: Speaker, broker: BrokerClient, form: Readonly<Record<string, string>>): Promise<Secret> {
    const askedMs = performance.now()
    const answer = await askPatiently(speaker, broker, ENDPOINT.token, form)
    const token = tokenOf(answer)
    this.tokens.push(token)
    this.endsMs = Math.min(this.endsMs, askedMs + 1000 * numberIn(answer['expires_in']))
    return token
  }
}

/** A JWT by the agent's own key, for where the registry lets that key vouch for it (`jwks_file` of a `workload_issuers` entry). */
export async function ownEvidence({ clientId, issuer, key }: Speaker, workloadIssuer: string): Promise<Secret> {
  const iat = epochSeconds(systemClock)
  const claims = { iss: workloadIssuer, sub: clientId, aud: issuer, iat, exp: iat + EVIDENCE_LIFETIME_S, jti: newJti() }
  return new Secret(await signJwt(key, 'JWT', claims))
}

/**
 * What a delegation of this session asks for, which must be less than all of it: this server alone, where there are others; one
 * scope, where there are several; else a tool less.
 */
export function less(opened: JsonObject, resource: string): Readonly<Record<string, string>> {
  const intent = { type: 'agent_intent', purpose: PURPOSE }
  const granted = arrayOf(opened['authorization_details'])
    .map(jsonObject)
    .filter(({ type }) => type === 'mcp_tools')
  const here = granted.find(({ locations }) => arrayOf(locations).includes(resource))
  const details = (...more: readonly JsonObject[]) => ({ authorization_details: JSON.stringify([intent, ...more]) })
  if (here !== undefined && granted.length > 1) return details(here)
  const [scope, ...scopes] = String(opened['scope']).split(' ')
  if (scope !== undefined && scopes.length > 0) return { scope, ...details() }
  const tools = Object.entries(jsonObject(here?.['tools'])).slice(0, -1)
  if (tools.length > 0) return details({ ...here, tools: Object.fromEntries(tools) })
  const why = 'a sub-agent must get less than the drill’s agent has, and that is one tool of one server'
  throw new CommandFailure(`${why}: add a tool to its standing_intent, or leave --sub-agent out`)
}

function exchange(speaker: Speaker, broker: BrokerClient, form: Readonly<Record<string, string>>): Promise<JsonObject> {
  return askPatiently(speaker, broker, ENDPOINT.token, { grant_type: GRANT_TYPE.tokenExchange, ...form })
}

function tokenOf(answer: JsonObject): Secret {
  const token = answer['access_token']
  if (typeof token !== 'string') throw new CommandFailure('the answer has no token in it')
  return new Secret(token)
}
