/** ID-JAGs of the world's identity provider, and a world that takes them. */
import type { RejectionReason } from '../../src/kernel/rejection.ts'
import type { TestIssuer } from './issuer.ts'
import type { Refusal } from './refusal.ts'
import { type Answer, type Params, registryDocument, WIKI, type World } from './world.ts'

export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** RFC 7523 §3.1. */
export const invalidGrant = (reason: RejectionReason): Refusal => ({ status: 400, error: 'invalid_grant', reason })

type Entry = Record<string, unknown>

/** The world's document, its IdP trusted to issue ID-JAGs, its agents registered for the grant, the wiki with a standing intent. */
export function enterpriseDocument(
  document: Readonly<Record<string, unknown>>,
  idJag: 'ceiling' | 'identity_only' = 'ceiling',
): Record<string, unknown> {
  const issuers = (document['issuers'] as Entry[]).map((entry) => ({
    ...entry,
    accepts: { ...(entry['accepts'] as object), id_jag: idJag },
  }))
  const agents = (document['agents'] as Entry[]).map((entry) => ({
    ...entry,
    grant_types: [...(entry['grant_types'] as string[]), 'jwt-bearer'],
  }))
  const resources = (document['resources'] as Entry[]).map((entry) =>
    entry['id'] === 'calendar'
      ? { ...entry, standing_intent: { purpose: 'Look things up in the calendar', tools: { list_events: {} } } }
      : entry,
  )
  return { ...document, issuers, agents, resources }
}

export const enterpriseRegistry = (idp: TestIssuer, idJag?: 'identity_only') =>
  enterpriseDocument(registryDocument(idp), idJag)

let count = 0

/** Alice's, for the orchestrator at the wiki; `undefined` removes a claim. */
export function idJag(
  world: Pick<World, 'idp' | 'issuer' | 'now'>,
  claims: Readonly<Record<string, unknown>> = {},
  header: Readonly<Record<string, unknown>> = {},
): string {
  count += 1
  const now = world.now()
  const base = {
    sub: 'alice',
    aud: world.issuer,
    client_id: 'orchestrator',
    jti: `jag-${process.pid}-${count}`,
    iat: now - 5,
    exp: now + 295,
    auth_time: now - 10,
    resource: WIKI,
    scope: 'mcp:tools:read',
  }
  return world.idp.sign({ ...base, ...claims }, { typ: 'oauth-id-jag+jwt', ...header }).reveal()
}

export function redeem(
  world: World,
  assertion: string,
  params: Params = {},
  client = 'orchestrator',
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const usual = { grant_type: JWT_BEARER, ...world.authentication(client), assertion }
  return world.post('/token', { ...usual, ...params }, headers)
}
