/**
 * RFC 7009: an agent ends what it holds. A session token ends its node and all below it (at the root: the session), a
 * delegation token ends what was or could be accepted from it, an access token ends alone. Unknown tokens are a success.
 */
import type { AuditOutcome } from '../audit/audit-log.ts'
import { verifyAccessToken, verifyOwnHandle } from '../credentials/own-token.ts'
import { parseTokenParameter } from '../credentials/token-parameter.ts'
import { decodeJwt } from '../jose/decode-jws.ts'
import type { SessionId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Secret } from '../kernel/secret.ts'
import type { Arrival } from '../model/request-facts.ts'
import type { Form } from '../protocol/form.ts'
import { ENDPOINT, JWT_TYP } from '../protocol/oauth.ts'
import { describeWork } from '../sessions/describe-work.ts'
import type { NodeView, SessionView } from '../sessions/session-record.ts'
import { type ClientCall, callAsClient, type RevocationParts } from './client-call.ts'
import { killNode, killNodes, killSession, killToken } from './kill.ts'
import { type KillReport, type ToldReport, told } from './kill-report.ts'
import { hopBelow, hopsOfSubAgent } from './sub-agents.ts'

export interface RevokeAnswer {
  readonly revoked: ToldReport | undefined
  readonly audit: AuditOutcome
}

/** A token of ours, as far as revoking it needs. */
interface Revocable {
  readonly kind: 'session' | 'delegation' | 'access'
  readonly clientId: string
  readonly session: SessionId
  /** The node, delegation or token that dies. */
  readonly dies: string
  /** The node above it, where a single token dies. */
  readonly node: string
  readonly expiresAt: number
  readonly isRoot: boolean
  /** What a single token is for. */
  readonly resource?: string
}

/** @throws RefusedRequest */
export function revokeToken(form: () => Form, facts: Arrival, parts: RevocationParts): Promise<RevokeAnswer> {
  return callAsClient({ form, facts, endpoint: ENDPOINT.revocation, mayRepeat: true }, parts, async (call) => {
    const token = await readToken(call.form.require('token'), call, parts)
    if (token !== undefined && token.clientId !== call.client.clientId) {
      throw new Rejection('token_of_another_client', 'this token was issued to another client')
    }
    const killed = token === undefined ? undefined : await kill(token, call, parts)
    if (token !== undefined) call.draft.add({ session: token.session, node: token.dies })
    call.draft.add({ detail: killed === undefined ? 'nothing to revoke' : `${killed.hops.length} hops` })
    const audit = await parts.auditor.log.appendOrDefer(call.draft.id, call.draft.granted('token.revoke'))
    return { revoked: killed && told(killed, parts, 'client'), audit }
  })
}

async function kill(token: Revocable, call: ClientCall, parts: RevocationParts): Promise<KillReport | undefined> {
  const view = await parts.sessions.view(token.session, call.now)
  if (view === undefined) return undefined
  call.draft.add(describeWork(view))
  const part = partMeant(call.form)
  if (part !== undefined) return killNodes(view, hopsMeant(view, token, part), parts)
  if (token.isRoot) return killSession(view, 'closed', parts)
  if (token.kind === 'access') return killToken(view, { ...token, jti: token.dies }, parts)
  return killNode(view, token.dies, parts)
}

/** What of the token's own hop is meant, where not all of it. */
interface Part {
  readonly by: 'node' | 'sub_agent'
  readonly id: string
}

/** Parameters of our own beside RFC 7009's. @throws Rejection `parameter_malformed` */
function partMeant(form: Form): Part | undefined {
  const [node, subAgent] = [form.get('node'), form.get('sub_agent')]
  if (node !== undefined && subAgent !== undefined) {
    throw new Rejection('parameter_malformed', 'say node or sub_agent, not both')
  }
  if (node !== undefined) return { by: 'node', id: node }
  return subAgent === undefined ? undefined : { by: 'sub_agent', id: subAgent }
}

/** Below the hop whose token it is, and nowhere else. @throws Rejection `parameter_malformed`, `not_found` */
function hopsMeant(view: SessionView, token: Revocable, { by, id }: Part): readonly string[] {
  if (token.kind !== 'session') throw new Rejection('parameter_malformed', `${by} goes with a session token`)
  const isOwn = ({ facts }: NodeView) => facts.id === token.node
  const hops = by === 'node' ? hopBelow(view, id, isOwn) : hopsOfSubAgent(view, id, isOwn)
  // A typing error must not look like a kill.
  if (hops.length === 0) throw new Rejection('not_found', `nothing below this token is of that ${by}`)
  return hops
}

/** `undefined`: not a token of ours, or no longer in time. The hint of RFC 7009 §2.1 is not needed: `typ` tells. */
async function readToken(text: string, call: ClientCall, parts: RevocationParts): Promise<Revocable | undefined> {
  const deps = { ring: parts.ring, issuer: parts.settings.issuer, now: call.now }
  try {
    const token = parseTokenParameter(text, 'token')
    const kind = kindOf(token)
    if (kind === undefined) return undefined
    if (kind === 'access') {
      const access = await verifyAccessToken(token, deps)
      if (access.session === undefined) throw notRevocable()
      const { clientId, session, jti, path, expiresAt } = access
      return {
        kind,
        clientId,
        session,
        dies: jti,
        node: path.at(-1) ?? '',
        expiresAt,
        isRoot: false,
        resource: access.audience,
      }
    }
    const handle = await verifyOwnHandle(token, kind, { ...deps, mayBeLate: kind === 'delegation' })
    const { clientId, session, jti, path, expiresAt } = handle
    const node = path.at(-1) ?? ''
    const dies = kind === 'delegation' ? jti : node
    return { kind, clientId, session, dies, node, expiresAt, isRoot: kind === 'session' && path.length === 1 }
  } catch (error) {
    const ours =
      error instanceof Rejection && (error.reason === 'keys_not_ready' || error.reason === 'token_type_not_revocable')
    if (error instanceof Rejection && !ours) return undefined
    throw error
  }
}

/** By `typ` alone, not believed yet: verification by that kind's own rules follows. */
function kindOf(token: Secret): Revocable['kind'] | undefined {
  let typ: string | undefined
  try {
    typ = decodeJwt(token).header.typ
  } catch {
    return undefined
  }
  if (typ === JWT_TYP.session) return 'session'
  if (typ === JWT_TYP.delegation) return 'delegation'
  if (typ === JWT_TYP.accessToken) return 'access'
  if (typ === JWT_TYP.management) throw notRevocable()
  return undefined
}

function notRevocable(): Rejection {
  return new Rejection(
    'token_type_not_revocable',
    'API and management tokens live minutes and are not revoked one by one',
  )
}
