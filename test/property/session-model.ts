/**
 * Who should be alive: the rules of DESIGN §7 as one page of plain objects and a counter, with nothing of the broker's in it.
 *
 * What is decided is numbered by `tick`; a cut-off kills what has a smaller number than its own. Times are the world's.
 */

export const AGENTS = ['orchestrator', 'researcher', 'scribe'] as const
export type AgentName = (typeof AGENTS)[number]
export type UserName = 'alice' | 'bob'

export interface Evidence {
  readonly text: string
  readonly user: UserName
  readonly agent: AgentName
  readonly signedInAt: number
  blocked: boolean
}

export interface ModelSession {
  readonly id: string
  readonly evidence: Evidence
  readonly notAfter: number
  ended: boolean
}

/** A node, from when it is offered: accepted once somebody holds a session token of it. */
export interface ModelNode {
  readonly id: string
  readonly session: ModelSession
  readonly parent: ModelNode | undefined
  readonly holder: AgentName
  readonly depth: number
  readonly notAfter: number
  /** Until when, and by which token, it may be accepted; `undefined` for a root. */
  readonly offer: { readonly token: string; readonly until: number; readonly tick: number } | undefined
  handle: { readonly token: string; readonly tick: number } | undefined
  revoked: boolean
}

export interface ModelAccess {
  readonly token: string
  readonly node: ModelNode
  readonly tick: number
  readonly until: number
  revoked: boolean
}

interface Cutoff {
  readonly tick: number
  readonly atMs: number
}

export class Model {
  tick = 0
  readonly sessions: ModelSession[] = []
  readonly nodes: ModelNode[] = []
  readonly access: ModelAccess[] = []
  readonly #cutoffs = new Map<string, Cutoff>()
  /** By agent, user or pair: seconds that a sign-in must be later than; `Infinity` until lifted. */
  readonly #blocks = new Map<string, number[]>()

  cut(what: string, atMs: number): void {
    this.tick += 1
    this.#cutoffs.set(what, { tick: this.tick, atMs })
  }

  block(what: string, newerThan: number): void {
    this.#blocks.set(what, [...(this.#blocks.get(what) ?? []), newerThan])
  }

  lift(what: string): void {
    this.#blocks.delete(what)
  }

  blocks(): readonly string[] {
    return [...this.#blocks.keys()]
  }

  isBlocked(what: string, signedInAt: number): boolean {
    return (this.#blocks.get(what) ?? []).some((newerThan) => !(signedInAt > newerThan))
  }

  hasStandingBlock(what: string): boolean {
    return (this.#blocks.get(what) ?? []).includes(Infinity)
  }

  /** The user, and no agent of the session, ends it: nothing that this sign-in opens comes back. */
  leaveNoWayRound(session: ModelSession, agent: AgentName, atMs: number): void {
    const pair = pairOf(session.evidence.user, agent)
    this.cut(pair, atMs)
    this.block(pair, Math.floor(atMs / 1000) + 60)
    if (agent === session.evidence.agent) session.evidence.blocked = true
  }

  mayOpen(evidence: Evidence): boolean {
    const { user, agent, signedInAt, blocked } = evidence
    const names = [agentOf(agent), userOf(user), pairOf(user, agent)]
    const isOld = names.some((name) => {
      const cutoff = this.#cutoffs.get(name)
      return cutoff !== undefined && !((signedInAt - 60) * 1000 > cutoff.atMs)
    })
    return !blocked && !isOld && !names.some((name) => this.isBlocked(name, signedInAt))
  }

  /** Whether what was decided about a node at `tick` still stands, `more` agents counted in. */
  #stands(node: ModelNode, tick: number, more: readonly AgentName[] = []): boolean {
    const { user } = node.session.evidence
    const agents = [...chainOf(node), ...more]
    const names = [userOf(user), ...agents.flatMap((agent) => [agentOf(agent), pairOf(user, agent)])]
    return names.every((name) => {
      const cutoff = this.#cutoffs.get(name)
      return cutoff === undefined || cutoff.tick < tick
    })
  }

  #isWelcome(node: ModelNode, more: readonly AgentName[] = []): boolean {
    const { user, signedInAt } = node.session.evidence
    const agents = [...chainOf(node), ...more]
    const names = [userOf(user), ...agents.flatMap((agent) => [agentOf(agent), pairOf(user, agent)])]
    return !names.some((name) => this.isBlocked(name, signedInAt))
  }

  #isIntact(node: ModelNode, now: number): boolean {
    const { session } = node
    return !session.ended && now < session.notAfter && !pathOf(node).some(({ revoked }) => revoked)
  }

  mayUse(node: ModelNode, now: number, more: readonly AgentName[] = []): boolean {
    const { handle } = node
    if (handle === undefined || !(now < node.notAfter)) return false
    return this.#isIntact(node, now) && this.#stands(node, handle.tick) && this.#isWelcome(node, more)
  }

  mayDelegate(node: ModelNode, to: AgentName, now: number): boolean {
    return this.mayUse(node, now, [to]) && node.depth >= 1 && !chainOf(node).includes(to)
  }

  mayAccept(node: ModelNode, now: number): boolean {
    const { offer, handle, parent } = node
    if (offer === undefined || handle !== undefined || parent === undefined || !(now < offer.until)) return false
    return this.#isIntact(node, now) && this.#stands(node, offer.tick) && this.#isWelcome(node)
  }

  isActive(access: ModelAccess, now: number): boolean {
    const { node, tick, until, revoked } = access
    const cutoff = this.#cutoffs.get(`session_access:${node.session.id}`)
    if (revoked || !(now < until) || (cutoff !== undefined && cutoff.tick > tick)) return false
    return this.#isIntact(node, now) && this.#stands(node, tick) && this.#isWelcome(node)
  }
}

export const agentOf = (agent: AgentName): string => `agent:${agent}`
export const userOf = (user: UserName): string => `user:corp:${user}`
export const pairOf = (user: UserName, agent: AgentName): string => `${userOf(user)}|${agent}`

/** Root first. */
export function pathOf(node: ModelNode): readonly ModelNode[] {
  return node.parent === undefined ? [node] : [...pathOf(node.parent), node]
}

export function chainOf(node: ModelNode): readonly AgentName[] {
  return pathOf(node).map(({ holder }) => holder)
}
