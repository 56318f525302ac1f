/**
 * RFC 7662: a live answer about an access token, for the MCP server it is for and nobody else. Whatever is wrong with the
 * token, the answer is exactly `{"active":false}`: the caller learns nothing of tokens that are not its own.
 */
import { type VerifiedAccess, verifyAccessToken } from '../credentials/own-token.ts'
import { parseTokenParameter } from '../credentials/token-parameter.ts'
import { claimAt } from '../jose/claim-at.ts'
import { Rejection } from '../kernel/rejection.ts'
import { versionState } from '../model/client.ts'
import { mayIssue } from '../model/lifecycle.ts'
import type { Registry } from '../model/registry.ts'
import type { Arrival } from '../model/request-facts.ts'
import { whyNotIssuedFor } from '../model/resource.ts'
import type { BrokerSettings } from '../model/settings.ts'
import type { Form } from '../protocol/form.ts'
import { ENDPOINT } from '../protocol/oauth.ts'
import { agentsOf, blockOn, cutoffKilling, userIn } from '../sessions/liveness.ts'
import { withinBudget } from '../store/time-budget.ts'
import { type ClientCall, callAsClient, type RevocationParts } from './client-call.ts'

export type Introspection = { readonly active: false } | ({ readonly active: true } & Readonly<Record<string, unknown>>)

const INACTIVE: Introspection = { active: false }

/** @throws RefusedRequest */
export function introspect(form: () => Form, facts: Arrival, parts: RevocationParts): Promise<Introspection> {
  const answerCall = async (call: ClientCall): Promise<Introspection> => {
    const text = call.form.require('token')
    parts.cutoffs.assertFresh()
    if (parts.cutoffs.set.blocked('agent', call.client.clientId, call.nowMs) !== undefined) {
      throw new Rejection('principal_blocked', 'this client is blocked until an operator lifts the block')
    }
    const token = await readToken(text, call, parts)
    const active = token !== undefined && (await isActive(token, call, parts))
    if (token !== undefined && isFor(token, call)) describe(token, call)
    call.draft.add({ detail: active ? 'active' : 'inactive' })
    await parts.auditor.log.append(call.draft.id, call.draft.granted('token.introspect'))
    return active ? answer(token) : INACTIVE
  }
  return withinBudget(() => callAsClient({ form, facts, endpoint: ENDPOINT.introspection }, parts, answerCall))
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
  const { cutoffs, sessions, settings } = parts
  const { registry } = call
  if (!isFor(token, call)) return false
  const resource = registry.resource(token.audience)
  if (resource === undefined || whyNotIssuedFor(resource, settings.environment) !== undefined) return false
  if (cutoffKilling(token, cutoffs, { issuer: settings.issuer, accessToken: true }) !== undefined) return false
  if (!everyoneActive(token, registry, settings) || token.session === undefined) return false
  const live = await sessions.readLive(token.session, [...token.path, token.jti], call.now)
  if (live === undefined) return false
  const named = { subject: token.subject, agents: agentsOf(token, settings.issuer), signedInAt: live.signedInAt }
  return blockOn(named, cutoffs, call.nowMs) === undefined
}

/** The registry's word on everyone named: a suspended agent or a user who left makes the token inactive at once. */
function everyoneActive(token: VerifiedAccess, registry: Registry, settings: BrokerSettings): boolean {
  const ofHolder = claimAt(token.claims, ['agent', 'version'])
  const isActive = (name: string): boolean => {
    const client = registry.client(name)
    if (client === undefined || !mayIssue(client.state, settings.environment)) return false
    return name !== token.clientId || mayIssue(versionState(client, String(ofHolder)), settings.environment)
  }
  if (!agentsOf(token, settings.issuer).every(isActive)) return false
  const user = userIn(token)
  if (user === undefined) return true
  const [, slug = '', ...sub] = user.split(':')
  const issuer = registry.issuerBySlug(slug)
  return issuer !== undefined && registry.user(issuer, sub.join(':'))?.active === true
}

const CLAIMS = [
  ...['iss', 'sub', 'aud', 'client_id', 'iat', 'exp', 'jti', 'scope', 'sub_profile', 'act', 'cnf', 'sid'],
  ...['authorization_details', 'auth_time', 'acr', 'amr', 'agent', 'origin', 'intent', 'env'],
]

function answer(token: VerifiedAccess): Introspection {
  const claims: Record<string, unknown> = {}
  for (const name of CLAIMS) if (token.claims[name] !== undefined) claims[name] = token.claims[name]
  // RFC 9449 §6.2.
  return { active: true, token_type: token.confirmation?.kind === 'jkt' ? 'DPoP' : 'Bearer', ...claims }
}

function describe(token: VerifiedAccess, call: ClientCall): void {
  call.draft.add({
    resource: token.audience,
    jti: token.jti,
    on_behalf_of: token.subject,
    ...(token.session === undefined ? {} : { session: token.session }),
  })
}
