/**
 * What a new version gives that the one before did not, for whoever reviews it before it goes out (R091): tools that a manifest
 * did not have, or held to less, all of it where the client is new or was out of service; and grants that may let more through.
 * What is not named here may still give more, through people and servers that changed, or what else there is of a client; of a
 * grant that changed in several ways at once it is only said that it may.
 */
import { each, type Sliced } from '../../kernel/slices.ts'
import type { Client } from '../../model/client.ts'
import type { Grant, Registry } from '../../model/registry.ts'
import type { ManifestEntry } from '../../model/resource.ts'
import { isSame, keepsAll } from './fingerprint.ts'
import { widenedTools } from './manifest-change.ts'
import { canNarrow, narrowsAlways } from './taken-from-grants.ts'
import type { Unshared } from './unshared.ts'

/** Of the tools of one client. */
const NAMED_MAX = 8

interface Changes {
  readonly agents: Unshared<Client>
  readonly services: Unshared<Client>
  readonly grants: Unshared<Grant>
}

export function* widenedBy(before: Registry, after: Registry, changes: Changes): Sliced<readonly string[]> {
  const lines: string[] = []
  for (const { after: clients } of [changes.agents, changes.services]) {
    yield* each(clients, (client) => {
      const was = before.client(client.clientId)
      const had = was?.kind === client.kind ? inService(was) : []
      const tools = widenedTools(had, inService(client), after)
      if (tools.length > 0) lines.push(`${client.kind} ${client.clientId}: ${someOf(tools)}`)
    })
  }
  const were = new Map<string, Grant>()
  yield* each(changes.grants.before, (grant) => were.set(grant.id, grant))
  yield* each(changes.grants.after, (grant) => {
    const was = were.get(grant.id)
    were.delete(grant.id)
    if (was === undefined && grant.effect === 'allow') lines.push(`grant ${grant.id}: it is new, and allows`)
    if (was !== undefined && mayWiden(was, grant)) lines.push(`grant ${grant.id}: it may let more through`)
  })
  yield* each(were.values(), (grant) => {
    if (heldBack(grant)) lines.push(`grant ${grant.id}: it is gone, and held something back`)
  })
  return lines
}

/** What is issued nothing gives nothing. */
function inService({ state, manifest }: Client): readonly ManifestEntry[] {
  return state === 'testing' || state === 'active' ? manifest : []
}

export function someOf(tools: readonly string[]): string {
  const more = tools.length > NAMED_MAX ? ` and ${tools.length - NAMED_MAX} more` : ''
  return `${tools.slice(0, NAMED_MAX).join(', ')}${more}`
}

/** All that match are intersected, and lives end with the first: an allow may hold back what another gives; one on an agent only does. */
function heldBack(grant: Grant): boolean {
  return canNarrow(grant) || narrowsAlways(grant)
}

function mayWiden(was: Grant, is: Grant): boolean {
  if (is.effect === 'deny' && was.effect === 'allow') return heldBack(was)
  const isHeldAsBefore = was.effect === is.effect && isSame([was.when, was.constraints], [is.when, is.constraints])
  if (!isHeldAsBefore) return true
  const [wider, narrower] = is.effect === 'deny' ? [is, was] : [was, is]
  const isNoMore = keepsAll(narrower.principals, wider.principals) && keepsAll(narrower.resources, wider.resources)
  return !isNoMore || (is.effect === 'allow' && heldBack(was) && !isSame(namedIn(was), namedIn(is)))
}

function namedIn({ principals, resources }: Grant): unknown {
  return [principals, resources]
}
