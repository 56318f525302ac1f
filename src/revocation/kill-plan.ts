/**
 * What an order that reaches beyond one session writes, and which sessions it concerns: pure. The entries are the revocation;
 * the lists only name what died of them.
 */
import { EVERYTHING, pairKey } from '../authority/dimensions.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { ACCESS_TOKEN_LIFETIME_S_MAX, CLOCK_SKEW_S, CUTOFF_LIFETIME_S } from '../kernel/limits.ts'
import type { Registry } from '../model/registry.ts'
import type { NodeView, SessionView } from '../sessions/session-record.ts'
import type { ControlWrite } from '../store/ports.ts'
import {
  agentsOwnedBy,
  assertIssuerKnown,
  assertKnown,
  assertVersionKnown,
  type KillOrder,
  resourceNamed,
} from './kill-order.ts'

/** What of a session dies. `nodes`: with all below them; `tokens` and `calls`: of these nodes, which live on. */
export type Dying =
  | { readonly what: 'whole' }
  | { readonly what: 'nodes' | 'tokens' | 'calls'; readonly nodes: readonly NodeView[] }

export interface Plan {
  readonly cutoffs: readonly ControlWrite[]
  readonly blocks: readonly ControlWrite[]
  /** Of sessions that may be concerned. */
  readonly lists: readonly string[]
  dies(view: SessionView): Dying
}

export type WideOrder = Exclude<KillOrder, { readonly dimension: 'session' | 'session_access' | 'node' | 'key' }>

const ALL = ['sessions:all']

/** @param nowMs the later of the broker's clock and the store's: no entry must end before what it concerns. @throws Rejection `not_found` */
export function planOf(order: WideOrder, registry: Registry, nowMs: number): Plan {
  const lasting = nowMs + CUTOFF_LIFETIME_S * 1000
  const cut = (dimension: CutDimension, id: string, expiresAtMs = lasting): ControlWrite => {
    return { entry: 'cutoff', dimension, id, expiresAtMs }
  }
  const blocks = (kind: BlockWord, ...ids: readonly string[]): readonly ControlWrite[] =>
    'block' in order && order.block ? ids.map((id) => ({ entry: 'block', kind, id, expiresAtMs: null })) : []
  switch (order.dimension) {
    case 'everything':
      return { cutoffs: [cut('everything', EVERYTHING)], blocks: [], lists: ALL, dies: whole }
    case 'user':
      assertKnown(order, registry)
      return ofPrincipals(
        [order.user],
        { cutoffs: [cut('user', order.user)], blocks: blocks('user', order.user) },
        whole,
      )
    case 'issuer':
      assertIssuerKnown(order.issuer, registry)
      return {
        cutoffs: [cut('issuer', order.issuer), cut('issuer_sign_ins', order.issuer)],
        blocks: blocks('issuer', order.issuer),
        lists: ALL,
        dies: (view) =>
          view.facts.subject.user?.issuerSlug === order.issuer ? { what: 'whole' } : nodes(view, () => false),
      }
    case 'resource':
    case 'tool':
      return ofResource(order, registry, nowMs, { cut, blocks })
    default:
      return ofAgents(order, registry, { cut, blocks })
  }
}

type CutDimension = 'everything' | 'user' | 'issuer' | 'issuer_sign_ins' | 'resource' | 'tool' | AgentDimension
type AgentDimension = 'agent' | 'agent_version' | 'user_agent'
type BlockWord = 'user' | 'issuer' | 'resource' | 'agent' | 'agent_version' | 'pair'

interface Writing {
  cut(dimension: CutDimension, id: string, expiresAtMs?: number): ControlWrite
  blocks(kind: BlockWord, ...ids: readonly string[]): readonly ControlWrite[]
}

type Entries = Pick<Plan, 'cutoffs' | 'blocks'>

function ofAgents(
  order: Extract<WideOrder, { readonly dimension: AgentDimension | 'owner' }>,
  registry: Registry,
  { cut, blocks }: Writing,
): Plan {
  switch (order.dimension) {
    case 'agent':
      assertKnown(order, registry)
      return ofPrincipals(
        // Agents and services share one namespace of ids.
        [`agent:${order.agent}`, `service:${order.agent}`],
        { cutoffs: [cut('agent', order.agent)], blocks: blocks('agent', order.agent) },
        (view) => held(view, [order.agent]),
      )
    case 'user_agent': {
      assertKnown(order, registry)
      const id = pairKey(order.user, order.agent)
      const entries = { cutoffs: [cut('user_agent', id)], blocks: blocks('pair', id) }
      return ofPrincipals([order.user], entries, (view) => held(view, [order.agent]))
    }
    case 'agent_version': {
      assertVersionKnown(order.agent, order.version, registry)
      const id = pairKey(order.agent, order.version)
      const entries = { cutoffs: [cut('agent_version', id)], blocks: blocks('agent_version', id) }
      const isOf = ({ facts }: NodeView) => facts.holder === order.agent && facts.agentVersion === order.version
      return ofPrincipals([`agent:${order.agent}`], entries, (view) => nodes(view, isOf))
    }
    case 'owner': {
      const owned = agentsOwnedBy(order.owner, registry).map(({ clientId }) => clientId)
      const entries = { cutoffs: owned.map((id) => cut('agent', id)), blocks: blocks('agent', ...owned) }
      return ofPrincipals(
        owned.map((id) => `agent:${id}`),
        entries,
        (view) => held(view, owned),
      )
    }
  }
}

/** Access tokens only: they live minutes, and sessions go on. */
function ofResource(
  order: Extract<WideOrder, { readonly dimension: 'resource' | 'tool' }>,
  registry: Registry,
  nowMs: number,
  { cut, blocks }: Writing,
): Plan {
  const tool = order.dimension === 'tool' ? order.tool : undefined
  const { url } = resourceNamed(order.resource, registry, tool)
  const until = nowMs + (ACCESS_TOKEN_LIFETIME_S_MAX + CLOCK_SKEW_S) * 1000
  const opens = ({ facts, leaves }: NodeView) => {
    const here = facts.authority.resources.get(url as ResourceUrl)
    return leaves > 0 && here !== undefined && (tool === undefined || here.tools.has(tool))
  }
  return {
    cutoffs: [tool === undefined ? cut('resource', url, until) : cut('tool', pairKey(url, tool), until)],
    blocks: tool === undefined ? blocks('resource', url) : [],
    lists: ALL,
    dies: (view) => ({ what: tool === undefined ? 'tokens' : 'calls', nodes: view.nodes.filter(opens) }),
  }
}

function ofPrincipals(principals: readonly string[], entries: Entries, dies: Plan['dies']): Plan {
  return { ...entries, lists: principals.map((principal) => `sessions:${principal}`), dies }
}

const whole = (): Dying => ({ what: 'whole' })

/** What these agents hold: all of it where one of them has opened it. */
export function held(view: SessionView, agents: readonly string[]): Dying {
  return nodes(view, ({ facts }) => agents.includes(facts.holder))
}

function nodes(view: SessionView, isMeant: (node: NodeView) => boolean): Dying {
  const meant = view.nodes.filter(isMeant)
  if (meant.some(({ facts }) => facts.parent === undefined)) return { what: 'whole' }
  return { what: 'nodes', nodes: meant.filter(({ revoked }) => !revoked) }
}
