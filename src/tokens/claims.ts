/**
 * The claims of each kind of token (DESIGN §2): one function per kind, from typed facts. No claim is copied from a request
 * or from foreign evidence except through those facts.
 */
import type { Authority } from '../authority/authority.ts'
import { encodeResourceDetails } from '../authority/details.ts'
import { pairKey } from '../authority/dimensions.ts'
import { authorityScopes } from '../authority/narrowing.ts'
import type { ClientId, Jti, NodeId, PrincipalId } from '../kernel/ids.ts'
import type { AdminRole } from '../model/admin-role.ts'
import { type Confirmation, cnfClaim } from '../model/confirmation.ts'
import type { NodeFacts, SessionFacts } from '../model/session.ts'
import { adminAudience, apiAudience } from '../model/settings.ts'
import { formatScope, type ScopeSet } from '../protocol/scope.ts'

export type Claims = Readonly<Record<string, unknown>>

/** A node of a session's tree, as the holder of what is minted. */
export interface Holder {
  readonly session: SessionFacts
  readonly node: NodeFacts
  /** Those that it was passed on from, root first. */
  readonly above: readonly NodeFacts[]
  /** Node ids from the root to `node`, both included. */
  readonly path: readonly NodeId[]
  /** `client id|version` of those that asked for the tokens in between, where the nodes do not say it. */
  readonly builds?: readonly string[]
}

export interface MintOrder {
  readonly holder: Holder
  /** What the token carries: the decision's result, cut to what this token is for. */
  readonly authority: Authority
  readonly audience: string
  readonly rv: number
  /** SHA-256 of the parent token's signing input; `undefined` where the parent is not one of ours. */
  readonly parentHash: string | undefined
  /** `cnf`: the key the token is bound to; `undefined`: a bearer token. */
  readonly confirmation: Confirmation | undefined
  /** Version of the agent whose credential this request came with. */
  readonly agentVersion: string
  /** Self-description of the running copy; authorizes nothing. */
  readonly instance: string | undefined
  readonly now: number
  readonly expiresAt: number
}

export interface Fixed {
  readonly issuer: string
  readonly environment: string
  readonly jti: Jti
}

/** Access, session and delegation tokens differ in audience, life and `typ`; what they say of the chain is the same. */
export function sessionClaims(
  fixed: Fixed,
  order: MintOrder,
): Claims & { readonly authorization_details: readonly unknown[] } {
  const { session, node, path } = order.holder
  const evidence = session.evidence
  return {
    ...base(fixed, order.now, order.expiresAt),
    sub: session.subject.principal,
    aud: order.audience,
    client_id: node.holder,
    scope: formatScope(authorityScopes(order.authority)),
    sub_profile: session.subject.profile,
    sid: session.id,
    txn: session.txn,
    rv: order.rv,
    ...(node.act === undefined ? {} : { act: node.act }),
    authorization_details: detailsOf(order.authority),
    not_after: Math.min(order.authority.notAfter, node.notAfter),
    env: fixed.environment,
    ...(evidence?.authTime === undefined ? {} : { auth_time: evidence.authTime }),
    ...(evidence?.acr === undefined ? {} : { acr: evidence.acr }),
    ...(evidence?.amr === undefined ? {} : { amr: evidence.amr }),
    agent: agentClaim(order),
    origin: {
      type: node.origin.type,
      ...(node.origin.ref === undefined ? {} : { ref: node.origin.ref }),
      asserted_by: node.origin.assertedBy,
    },
    intent: node.intentHash,
    anc: path,
    ...(order.parentHash === undefined ? {} : { par_hash: order.parentHash }),
    ...bound(order),
  }
}

/** Which build this is for; and in `via` every other that it hangs from, so that whoever reads it can tell when one is revoked. */
function agentClaim({ agentVersion, instance, holder }: MintOrder): Claims {
  const via = buildsBehind(holder, agentVersion)
  return {
    version: agentVersion,
    ...(instance === undefined ? {} : { instance }),
    ...(via.length === 0 ? {} : { via }),
  }
}

/** `client id|version` of the nodes of its path, where they are not the one that asks. */
export function buildsBehind({ node, above, builds = [] }: Holder, agentVersion: string): readonly string[] {
  const held = [...above, node].map(({ holder, agentVersion: version }) => pairKey(holder, version))
  return [...new Set([...held, ...builds])].filter((build) => build !== pairKey(node.holder, agentVersion))
}

/** What only an ID-JAG says: who the holder is there, and for which MCP server it is. */
export interface IdJagTarget {
  readonly clientId: string
  readonly resource: string
  readonly carriesDetails: boolean
}

/** draft-ietf-oauth-identity-assertion-authz-grant §3.1: what the other side needs to decide, and nothing of ours beside it. */
export function idJagClaims(fixed: Fixed, order: MintOrder, target: IdJagTarget): Claims {
  const { session, node } = order.holder
  const evidence = session.evidence
  return {
    ...base(fixed, order.now, order.expiresAt),
    sub: session.subject.principal,
    aud: order.audience,
    client_id: target.clientId,
    resource: target.resource,
    scope: formatScope(authorityScopes(order.authority)),
    ...(target.carriesDetails ? { authorization_details: detailsOf(order.authority) } : {}),
    txn: session.txn,
    ...(node.act === undefined ? {} : { act: node.act }),
    ...bound(order),
    ...(evidence?.authTime === undefined ? {} : { auth_time: evidence.authTime }),
    ...(evidence?.acr === undefined ? {} : { acr: evidence.acr }),
    ...(evidence?.amr === undefined ? {} : { amr: evidence.amr }),
  }
}

/** RFC 9396 §7: one `mcp_tools` object per resource. */
export function detailsOf(authority: Authority): readonly unknown[] {
  return [...authority.resources].map(([url, resource]) => encodeResourceDetails(url, resource))
}

export interface ApiOrder {
  readonly subject: PrincipalId
  readonly profile: 'ai_agent' | 'service'
  readonly clientId: ClientId
  /** Of the agent; `undefined`: a service's, whose versions nobody tells apart. */
  readonly agentVersion: string | undefined
  readonly scopes: ScopeSet
  readonly confirmation: Confirmation | undefined
  readonly rv: number
  readonly now: number
  readonly expiresAt: number
}

/** The one access token without a session: for the broker's own endpoints. */
export function apiClaims(fixed: Fixed, order: ApiOrder): Claims {
  return {
    ...base(fixed, order.now, order.expiresAt),
    sub: order.subject,
    aud: apiAudience(fixed.issuer),
    client_id: order.clientId,
    scope: formatScope(order.scopes),
    sub_profile: order.profile,
    ...(order.agentVersion === undefined ? {} : { agent: { version: order.agentVersion } }),
    rv: order.rv,
    env: fixed.environment,
    ...bound(order),
  }
}

export interface ManagementOrder {
  readonly operator: PrincipalId
  readonly roles: readonly AdminRole[]
  /** When an admin has signed in, and the digest of the token that says so; `undefined`: made on the broker's own machine. */
  readonly signIn?: { readonly at: number; readonly digest: string }
  readonly confirmation?: Confirmation | undefined
  readonly now: number
  readonly expiresAt: number
}

/** In no session, never a subject or a target of exchange. */
export function managementClaims(fixed: Fixed, order: ManagementOrder): Claims {
  const { operator, roles, signIn, confirmation, now, expiresAt } = order
  return {
    ...base(fixed, now, expiresAt),
    sub: operator,
    aud: adminAudience(fixed.issuer),
    roles,
    env: fixed.environment,
    ...(signIn === undefined ? {} : { auth_time: signIn.at, evidence: signIn.digest }),
    ...bound({ confirmation }),
  }
}

function bound({ confirmation }: Pick<MintOrder, 'confirmation'>): Claims {
  return confirmation === undefined ? {} : { cnf: cnfClaim(confirmation) }
}

function base(fixed: Fixed, now: number, expiresAt: number): Claims {
  return { iss: fixed.issuer, iat: now, exp: expiresAt, jti: fixed.jti }
}
