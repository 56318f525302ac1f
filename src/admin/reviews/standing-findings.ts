/** Who answers for agents and servers, and whether somebody has lately said that they may stay. */

import { CERTIFICATION_AHEAD_S } from '../../kernel/credential-limits.ts'
import { atOnce } from '../../kernel/slices.ts'
import { dayText, timeText } from '../../kernel/time-text.ts'
import { type Orphans, orphaned, ownerStanding } from '../../model/owner.ts'
import type { Registry } from '../../model/registry.ts'
import type { BrokerSettings } from '../../model/settings.ts'
import type { Finding } from './finding.ts'

interface Governed {
  readonly object: string
  readonly owner: string
  readonly certifiedUntil: number | undefined
}

export interface StandingInput {
  readonly registry: Registry
  readonly settings: Pick<BrokerSettings, 'suspendOverdue' | 'orphanGraceSeconds'>
  readonly orphans: Orphans
  /** Epoch seconds. */
  readonly now: number
}

export function standingFindings(input: StandingInput): readonly Finding[] {
  const { registry, settings, now } = input
  const certification = certificationFindings(registry, settings.suspendOverdue, now)
  return [...ownerFindings(input), ...certification, ...unclassified(registry)]
}

function ownerFindings({ registry, settings, orphans: watched, now }: StandingInput): readonly Finding[] {
  const orphans = atOnce(orphaned(registry)).map(({ kind, id, owner }): Finding => {
    const since = kind === 'agent' ? watched.since(id) : undefined
    const ends = since === undefined ? undefined : Math.floor(since / 1000) + settings.orphanGraceSeconds
    const stops = ends === undefined ? '' : `; it is issued nothing ${now < ends ? 'from' : 'since'} ${timeText(ends)}`
    const says = `its owner has left: give it another, or retire it${stops}`
    return { kind: 'owner_left', severity: 'attention', object: `${kind}:${id}`, owner, says }
  })
  const teams = new Set(
    governed(registry)
      .filter(({ owner }) => ownerStanding(registry, owner) === 'unverified')
      .map(({ owner }) => owner),
  )
  const unverified = [...teams].map(
    (owner): Finding => ({
      kind: 'owner_unverified',
      severity: 'notice',
      object: `owner:${owner}`,
      says: 'a name that nothing can tell from one who has left; write user:<issuer slug>:<sub> or group:<name>',
    }),
  )
  return [...orphans, ...unverified]
}

function certificationFindings(registry: Registry, suspends: boolean, now: number): readonly Finding[] {
  return governed(registry).flatMap(({ object, owner, certifiedUntil }): readonly Finding[] => {
    const about = { object, owner } as const
    const isStopped = suspends && object.startsWith('agent:')
    const stopped = isStopped ? ', and it is issued nothing' : ''
    if (certifiedUntil === undefined) {
      const says = `nobody has certified it${stopped}`
      return [{ ...about, kind: 'certification_missing', severity: isStopped ? 'attention' : 'notice', says }]
    }
    const day = dayText(certifiedUntil)
    if (!(now < certifiedUntil)) {
      const says = `was certified until ${day}${stopped}: look at it, and set a later certified_until`
      return [{ ...about, kind: 'certification_overdue', severity: 'attention', says }]
    }
    if (certifiedUntil > now + CERTIFICATION_AHEAD_S) return []
    return [{ ...about, kind: 'certification_due', severity: 'notice', says: `is certified until ${day}` }]
  })
}

/** Tools that nobody has looked at count as the most dangerous kind: agents get none of them. */
function unclassified({ resources }: Registry): readonly Finding[] {
  return resources
    .filter(({ state, isClassified }) => state !== 'retired' && !isClassified)
    .map(({ id, owner }) => ({
      kind: 'tools_unclassified',
      severity: 'attention',
      object: `resource:${id}`,
      owner,
      says: 'its tools are others than those that were classified: look at them, and set a new manifest_digest',
    }))
}

function governed({ agents, resources }: Registry): readonly Governed[] {
  return [
    ...agents.map((agent) => ({ ...agent, object: `agent:${agent.clientId}` })),
    ...resources.map((resource) => ({ ...resource, object: `resource:${resource.id}` })),
  ].filter(({ state }) => state !== 'retired')
}
