/**
 * What an agent may and does not use, and the manifest that leaves just the rest. A tool counts as unused only where that is
 * certain: its manifest has said it, and its use has been counted, for the whole time that is asked about.
 */

import { encodeToolConstraints } from '../../authority/constraints.ts'
import { timeText } from '../../kernel/time-text.ts'
import type { Agent } from '../../model/client.ts'
import type { ManifestEntry } from '../../model/resource.ts'
import { type ReachedTool, selectorKey, type ToolReach } from '../../policy/tool-reach.ts'
import { type AgentUsage, isToolUnusedSince } from './agent-usage.ts'
import type { UnusedAtServer } from './finding.ts'

export interface UnusedAuthority {
  readonly unused: readonly UnusedAtServer[]
  readonly narrowed: readonly Readonly<Record<string, unknown>>[]
}

interface Judged {
  readonly entry: ManifestEntry
  readonly used: readonly ReachedTool[]
  readonly unused: readonly ReachedTool[]
}

/**
 * @param from epoch seconds: what was used then or later is used
 * @param reaches of the servers that something is issued for: what is out of service is not judged
 */
export function unusedAuthority(agent: Agent, usage: AgentUsage, from: number, reach: ToolReach): UnusedAuthority {
  const judged = agent.manifest.map((entry): Judged => {
    const isOld = (usage.manifest.get(selectorKey(entry.selector)) ?? from) < from
    const reached = reach.of(entry.selector).filter(({ tool }) => tool.delegable)
    const isUnused = ({ resource, tool }: ReachedTool) =>
      isOld && isToolUnusedSince(usage, resource.id, tool.name, from)
    return { entry, used: reached.filter((one) => !isUnused(one)), unused: reached.filter(isUnused) }
  })
  const unused = new Map(judged.flatMap((one) => one.unused).map((reached) => [keyOf(reached), reached]))
  for (const { used } of judged) for (const reached of used) unused.delete(keyOf(reached))
  return { unused: byServer([...unused.values()], usage, from), narrowed: narrowedManifest(judged, unused) }
}

function keyOf({ resource, tool }: ReachedTool): string {
  return `${resource.id} ${tool.name}`
}

function byServer(unused: readonly ReachedTool[], usage: AgentUsage, from: number): readonly UnusedAtServer[] {
  return [...Map.groupBy(unused, ({ resource }) => resource.id)]
    .map(([server, reached]) => {
      const used = usage.resources.get(server)
      const scopes = new Set(reached.map(({ tool }) => tool.scope))
      return {
        server,
        scopes: [...scopes].filter((scope) => used?.scopes.isUnusedSince(scope, from) ?? true).sort(),
        tools: reached.map(({ tool }) => toolUse(tool.name, used?.tools.at(tool.name))),
      }
    })
    .sort((a, b) => (a.server < b.server ? -1 : 1))
}

function toolUse(tool: string, at: number | undefined): UnusedAtServer['tools'][number] {
  return at === undefined ? { tool } : { tool, last_used: timeText(at) }
}

/** An entry of which everything is used stays as it is; of another, each tool that is used becomes an entry of its own. */
function narrowedManifest(
  judged: readonly Judged[],
  unused: ReadonlyMap<string, ReachedTool>,
): UnusedAuthority['narrowed'] {
  const entries = judged.flatMap(({ entry, used, unused: own }): UnusedAuthority['narrowed'] => {
    const { selector, constraints } = entry
    const more = constraints.size === 0 ? {} : { constraints: encodeToolConstraints(constraints) }
    if (!own.some((reached) => unused.has(keyOf(reached)))) return [{ ...selector, ...more }]
    const { project: _project, category: _category, ...rest } = selector
    return used.map(({ resource, tool }) => ({ ...rest, server: resource.id, tool: tool.name, ...more }))
  })
  const texts = new Set<string>()
  return entries.filter((entry) => {
    const text = JSON.stringify(entry)
    return !texts.has(text) && texts.add(text)
  })
}
