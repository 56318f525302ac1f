/**
 * What died, hop by hop, and what could not be reached: the broker's own account of a revocation, and what of it is told. Told
 * reports are bounded, and count what they do not name.
 */
import type { SessionId } from '../kernel/ids.ts'
import { CLOCK_SKEW_S } from '../kernel/limits.ts'
import { KILL_HOPS_TOLD_MAX } from '../kernel/store-limits.ts'
import type { Caller } from '../model/caller.ts'
import type { Resource } from '../model/resource.ts'
import type { BrokerSettings } from '../model/settings.ts'
import type { NodeView, SessionView } from '../sessions/session-record.ts'
import type { RevocationParts } from './client-call.ts'

/** One hop of what died: its node, who held it, and how many access tokens had been issued from it, for whatever resource. */
export interface DeadHop {
  readonly session: SessionId
  readonly node: string
  readonly agent: string
  readonly depth: number
  readonly tokens: number
  /** A delegation that nobody had accepted yet. */
  readonly pending?: true
  /** The node lives on: only access tokens issued from it died, or (`calls`) what they open of one tool. */
  readonly only?: 'tokens' | 'calls'
}

export interface KillReport {
  readonly seq: number
  readonly sessions: readonly SessionId[]
  readonly hops: readonly DeadHop[]
  /**
   * Sessions whose own record could not be marked. They are dead all the same, by the cut-off; repeating the call marks them.
   */
  readonly unreached: readonly SessionId[]
  /** URLs of the resources that tokens of these hops may be for. */
  readonly resources: readonly string[]
  /** More sessions may be concerned than were looked at: all are dead, not all are named. */
  readonly truncated?: true
  /** Where it is truncated and the lists could be read: how many sessions were looked at, of how many listed. */
  readonly looked_at?: { readonly sessions: number; readonly of: number }
  /** A signing key was killed: everything it signed is dead, whatever session it belongs to. */
  readonly key?: KilledKey
}

export interface KilledKey {
  readonly kid: string
  readonly class: string
  readonly alg: string
  /** The key that signs in its place from now on; `null`: none, and its class and algorithm issue nothing. Absent: a rehearsal. */
  readonly signs?: string | null
}

/** A resource that hears of no revocation: it believes tokens until they end. */
export interface OfflineResource {
  readonly resource: string
  /** When the last token there has ended, at the latest. Epoch seconds. `null`: another authorization server has given it. */
  readonly until: number | null
}

export interface ToldReport extends Omit<KillReport, 'resources'> {
  /** Of everything that was found, named above or not. */
  readonly counts: { readonly sessions: number; readonly hops: number; readonly tokens: number }
  readonly offline: readonly OfflineResource[]
}

export const nothingDied = (seq: number): KillReport => ({ seq, sessions: [], hops: [], unreached: [], resources: [] })

interface Died {
  readonly dead: readonly NodeView[]
  readonly whole: boolean
  /** Whether the session's own record says so already. */
  readonly marked: boolean
  readonly only?: DeadHop['only']
}

export function report(seq: number, view: SessionView, { dead, whole, marked, only }: Died): KillReport {
  const { id } = view.facts
  const resources = dead
    .filter(({ leaves }) => leaves > 0)
    .flatMap(({ facts }) => [...facts.authority.resources.keys()])
  return {
    seq,
    sessions: whole ? [id] : [],
    hops: dead.map((node) => deadHop(view, node, only)),
    unreached: marked ? [] : [id],
    resources: [...new Set(resources)],
  }
}

export function deadHop(view: SessionView, node: NodeView, only?: DeadHop['only']): DeadHop {
  return {
    session: view.facts.id,
    node: node.facts.id,
    agent: node.facts.holder,
    depth: depthOf(view, node),
    tokens: node.leaves,
    ...(node.accepted ? {} : { pending: true as const }),
    ...(only === undefined ? {} : { only }),
  }
}

function depthOf(view: SessionView, node: NodeView): number {
  const parent = view.nodes.find((other) => other.facts.id === node.facts.parent)
  return parent === undefined ? 0 : depthOf(view, parent) + 1
}

export function merged(seq: number, reports: readonly KillReport[]): KillReport {
  const lookedAt = reports.flatMap(({ looked_at }) => looked_at ?? [])
  return {
    seq,
    sessions: reports.flatMap((one) => one.sessions),
    hops: reports.flatMap((one) => one.hops),
    unreached: reports.flatMap((one) => one.unreached),
    resources: [...new Set(reports.flatMap((one) => one.resources))],
    ...(reports.some((one) => one.truncated === true) ? { truncated: true as const } : {}),
    ...(lookedAt[0] === undefined ? {} : { looked_at: lookedAt[0] }),
  }
}

/**
 * What is told of it: bounded, counted, with the resources that will not hear of it. Where not all that died is known these may be
 * any: that is for operators, and nobody else learns what other resources there are.
 */
export function told(
  { resources, ...report }: KillReport,
  { registries, settings, clock }: Pick<RevocationParts, 'registries' | 'settings' | 'clock'>,
  to: Caller['kind'],
): ToldReport {
  const { sessions, hops } = report
  const tokens = hops.reduce((sum, hop) => sum + hop.tokens, 0)
  const mayBeAny = to === 'operator' && (report.truncated === true || report.key !== undefined)
  const concerned = registries.current.resources.filter(({ url }) => mayBeAny || resources.includes(url))
  const now = Math.floor(clock.nowMs() / 1000)
  return {
    ...report,
    hops: hops.slice(0, KILL_HOPS_TOLD_MAX),
    ...(hops.length > KILL_HOPS_TOLD_MAX ? { truncated: true as const } : {}),
    counts: { sessions: sessions.length, hops: hops.length, tokens },
    offline: concerned.filter(hearsNothing).map((resource) => ({
      resource: resource.url,
      until: resource.authorizationServer === undefined ? now + lastTokenS(resource, settings) : null,
    })),
  }
}

/** It only reads signatures, or nobody has said that it does more; or its tokens are not ours at all. */
function hearsNothing({ revocationCheck, authorizationServer }: Resource): boolean {
  return revocationCheck === 'offline' || authorizationServer !== undefined
}

function lastTokenS({ accessTokenLifetimeSeconds }: Resource, settings: BrokerSettings): number {
  return Math.min(accessTokenLifetimeSeconds, settings.accessTokenSeconds) + CLOCK_SKEW_S
}
