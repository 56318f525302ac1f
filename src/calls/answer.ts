/** How an evaluation is answered: each answer is recorded before it is given. */
import type { AuditDraft } from '../audit/audit-draft.ts'
import { actors } from '../authority/actor-chain.ts'
import type { ToolConstraints } from '../authority/authority.ts'
import { type Guidance, guidance } from '../authority/guidance.ts'
import { buildOf, instanceOf } from '../authority/token-facts.ts'
import type { AuditRecord } from '../model/audit-record.ts'
import { serverSnapshot, userSnapshot } from '../model/snapshot.ts'
import { ANY_AGENT_ID } from '../policy/any-agent.ts'
import type { Bearer } from './bearer.ts'
import type { Prepared, Refusal } from './judge.ts'
import type { ServiceCall } from './service-call.ts'

/** What the registry has no name for may be asked about, too: of any length. */
const TOOL_CHARS_MAX = 128

type Json = Readonly<Record<string, unknown>>

/** §6.2 */
export interface DecisionBody {
  readonly decision: boolean
  readonly context: Json
}

interface Refusing {
  /** What the answer says beside its reason. */
  readonly more?: Json | Partial<Guidance>
  /** Writes the record, where it counts against the session; `false`: it has not. */
  readonly counted?: ((record: string) => Promise<boolean>) | undefined
}

export async function refused(
  draft: AuditDraft,
  refusal: Refusal,
  call: ServiceCall,
  { more = {}, counted }: Refusing = {},
): Promise<DecisionBody> {
  const isKept = counted !== undefined && (await counted(draft.refused(refusal.reason)))
  if (!isKept) await record(draft, refusal, call)
  const { reason, says } = refusal
  return { decision: false, context: { reason, reason_admin: { en: says }, decision_id: draft.id, ...more } }
}

/** Of a live token alone: to whoever holds it, nothing of this is new. Of somebody named, a server is told no more than no. */
export function guided({ bearer, matter }: Prepared, allowed: ToolConstraints | undefined): Partial<Guidance> {
  if (bearer === undefined) return {}
  const tools = bearer.asks.parent?.resources.get(bearer.resource.url)?.tools ?? new Map()
  return guidance(matter, { purpose: bearer.node.purpose, tools }, allowed)
}

/** Before the answer: without its record there is none. @throws Rejection `audit_unavailable` */
export async function record(draft: AuditDraft, refusal: Refusal | undefined, { parts }: ServiceCall): Promise<void> {
  const text = refusal === undefined ? draft.granted() : draft.refused(refusal.reason)
  await parts.auditor.log.append(draft.id, text, draft.contents)
}

export function described({ question, matter, bearer }: Prepared): Partial<AuditRecord> {
  const place = matter.container === undefined ? '' : ` in ${matter.container}`
  return {
    on_behalf_of: question.subject,
    ...(question.user === undefined ? {} : { user: userSnapshot(question.user) }),
    ...(question.agent.clientId === ANY_AGENT_ID ? {} : { agent: { id: question.agent.clientId } }),
    ...serverSnapshot(matter.resource),
    tool: matter.tool.slice(0, TOOL_CHARS_MAX),
    detail: `call ${matter.tool.slice(0, TOOL_CHARS_MAX)}${place}`,
    ...(bearer === undefined ? {} : attributed(bearer)),
  }
}

/** Whose work the call would be, and what set it off. */
function attributed({ token, facts, node, asks, state, drift }: Bearer): Partial<AuditRecord> {
  const { clientId } = asks.agent
  const version = buildOf(clientId, token.versions)
  const instance = instanceOf(clientId, { clientId: token.clientId, agent: token.claims['agent'] })
  return {
    ...(state === 'active' && drift === 0 ? {} : { conformance: { state, drift } }),
    agent: {
      id: clientId,
      ...(version === undefined ? {} : { version }),
      ...(instance === undefined ? {} : { instance }),
    },
    session: facts.id,
    txn: facts.txn,
    node: node.id,
    intent: node.intentHash,
    origin: node.origin.type,
    ...(facts.subject.user === undefined ? { owner: facts.accountableOwner } : {}),
    scope: token.scope,
    jti: token.jti,
    ...(token.act === undefined ? {} : { chain: actors(token.act).map(({ sub }) => sub) }),
  }
}

/** The key that the token is bound to: whoever asks has seen the proof, and must have checked that it is by this one. */
export function bound({ bearer }: Prepared): Json {
  const cnf = bearer?.token.claims['cnf']
  return cnf === undefined ? {} : { cnf }
}
