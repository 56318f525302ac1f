/**
 * RFC 7662: a live answer about an access token, for the MCP server it is for and nobody else. Whatever is wrong with the
 * token, the answer is exactly `{"active":false}`: the caller learns nothing of tokens that are not its own. Signed for those
 * who ask for that (RFC 9701): an answer then is believed for who gave it, not for the way it came.
 */
import { agentsOf } from '../authority/named.ts'
import { buildOf } from '../authority/token-facts.ts'
import { type VerifiedAccess, verifyAccessToken } from '../credentials/own-token.ts'
import { parseTokenParameter } from '../credentials/token-parameter.ts'
import { signJwt } from '../jose/sign-jwt.ts'
import { isJsonObject } from '../jose/strict-json.ts'
import { epochSeconds } from '../kernel/clock.ts'
import type { ClientId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import { ORIGIN_TYPES } from '../model/intent.ts'
import type { Arrival } from '../model/request-facts.ts'
import { whyNotIssuedFor } from '../model/resource.ts'
import { parseTxn } from '../model/transaction.ts'
import type { Form } from '../protocol/form.ts'
import { ENDPOINT, JWT_TYP, STATEMENT_ALG } from '../protocol/oauth.ts'
import { isAlive } from '../sessions/live-access.ts'
import { chainSubjects } from '../sessions/session-record.ts'
import { withinBudget } from '../store/time-budget.ts'
import { type ClientCall, callAsClient, type RevocationParts } from './client-call.ts'
import { liveClaims } from './live-tools.ts'

export type Introspection = { readonly active: false } | ({ readonly active: true } & Readonly<Record<string, unknown>>)

const INACTIVE: Introspection = { active: false }

/** The answer, and whose question it was. */
export interface Introspected {
  readonly introspection: Introspection
  readonly caller: ClientId
}

/** @throws RefusedRequest */
export function introspect(form: () => Form, facts: Arrival, parts: RevocationParts): Promise<Introspected> {
  const answerCall = async (call: ClientCall): Promise<Introspected> => {
    const text = call.form.require('token')
    parts.cutoffs.assertFresh()
    if (parts.cutoffs.set.blocked('agent', call.client.clientId, call.nowMs) !== undefined) {
      throw new Rejection('principal_blocked', 'this client is blocked until an operator lifts the block')
    }
    const token = await readToken(text, call, parts)
    const active = token !== undefined && (await isActive(token, call, parts)) ? liveIn(token, call, parts) : undefined
    if (token !== undefined && isFor(token, call)) describe(token, call, parts)
    call.draft.add({ detail: active === undefined ? 'inactive' : 'active' })
    await parts.auditor.log.append(call.draft.id, call.draft.granted('token.introspect'))
    return { introspection: active ?? INACTIVE, caller: call.client.clientId }
  }
  return withinBudget(() => callAsClient({ form, facts, endpoint: ENDPOINT.introspection }, parts, answerCall))
}

/**
 * RFC 9701 §5, with a key that signs nothing else. No `sub` and no `exp` of its own: it must not pass for the token that it is
 * about. @throws Rejection `keys_not_ready`
 */
export function signIntrospection(
  { introspection, caller }: Introspected,
  { ring, settings, clock }: Pick<RevocationParts, 'ring' | 'settings' | 'clock'>,
): Promise<string> {
  const now = epochSeconds(clock)
  const claims = { iss: settings.issuer, aud: caller, iat: now, token_introspection: introspection }
  return signJwt(ring.active('statement', STATEMENT_ALG, now), JWT_TYP.introspection, claims)
}

/** `undefined` for anything that is not one of our access tokens, in time and properly signed. */
async function readToken(text: string, call: ClientCall, parts: RevocationParts): Promise<VerifiedAccess | undefined> {
  try {
    const token = parseTokenParameter(text, 'token')
    return await verifyAccessToken(token, { ring: parts.ring, issuer: parts.settings.issuer, now: call.now })
  } catch (error) {
    if (error instanceof Rejection && error.reason !== 'keys_not_ready') return undefined
    throw error
  }
}

function isFor(token: VerifiedAccess, { client, registry }: ClientCall): boolean {
  const resource = registry.resourceByName(token.audience)
  return resource !== undefined && resource.url === token.audience && resource.serverClient === client.clientId
}

async function isActive(token: VerifiedAccess, call: ClientCall, parts: RevocationParts): Promise<boolean> {
  const { settings } = parts
  const { registry } = call
  if (!isFor(token, call)) return false
  const resource = registry.resource(token.audience)
  if (resource === undefined || whyNotIssuedFor(resource, settings.environment) !== undefined) return false
  return isAlive(token, { ...parts, registry, nowMs: call.nowMs })
}

const CLAIMS = [
  ...['iss', 'sub', 'aud', 'client_id', 'iat', 'exp', 'jti', 'scope', 'sub_profile', 'act', 'cnf', 'sid', 'txn'],
  ...['authorization_details', 'auth_time', 'acr', 'amr', 'agent', 'origin', 'intent', 'env'],
]

/** `undefined`: nothing that it opens is left. */
function liveIn(token: VerifiedAccess, call: ClientCall, parts: RevocationParts): Introspection | undefined {
  const resource = call.registry.resource(token.audience)
  const live = resource && liveClaims(token, resource, parts.cutoffs.set)
  if (live === undefined) return undefined
  const claims: Record<string, unknown> = {}
  for (const name of CLAIMS) if (live[name] !== undefined) claims[name] = live[name]
  // RFC 9449 §6.2.
  return { active: true, token_type: token.confirmation?.kind === 'jkt' ? 'DPoP' : 'Bearer', ...claims }
}

/** Whose token it is, of which work: as it says itself, whether it is alive or not. */
function describe(token: VerifiedAccess, call: ClientCall, { settings }: RevocationParts): void {
  const { claims } = token
  const [agent] = agentsOf(token, settings.issuer)
  const version = agent === undefined ? undefined : buildOf(agent, token.versions)
  const [txn, origin] = [parseTxn(claims['txn']), originIn(claims)]
  const intent = typeof claims['intent'] === 'string' ? claims['intent'] : undefined
  call.draft.add({
    ...(txn === undefined ? {} : { txn }),
    ...(intent === undefined ? {} : { intent }),
    ...(origin === undefined ? {} : { origin }),
    ...(agent === undefined ? {} : { agent: { id: agent, ...(version === undefined ? {} : { version }) } }),
    resource: token.audience,
    scope: token.scope,
    jti: token.jti,
    on_behalf_of: token.subject,
    chain: chainSubjects(token.act),
    ...(token.session === undefined ? {} : { session: token.session, node: token.path.at(-1) ?? '' }),
  })
}

function originIn({ origin }: VerifiedAccess['claims']): string | undefined {
  const type = isJsonObject(origin) ? origin['type'] : undefined
  return ORIGIN_TYPES.find((known) => known === type)
}
