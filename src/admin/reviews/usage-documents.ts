/** The documents of agents' use in the store: written by merging, whoever else writes, and read for a review. */
import type { Agent } from '../../model/client.ts'
import { selectorKey } from '../../policy/tool-reach.ts'
import { type DocumentStore, StoreUnavailable } from '../../store/ports.ts'
import { type AgentUsage, decodeUsage, encodeUsage, merged, newUsage, withManifest } from './agent-usage.ts'

/** Two brokers that write the same agent's document in turn are done long before. */
const ATTEMPTS_MAX = 8
const READS_AT_ONCE = 64

/** Adds what this process has counted. @throws StoreUnavailable */
export function mergeInto(documents: DocumentStore, clientId: string, counted: AgentUsage): Promise<void> {
  return edit(documents, clientId, (stored) => merged(stored ?? newUsage(counted.since), counted))
}

/** Notes since when it is known, and since when its manifest has which entry. @throws StoreUnavailable */
export function introduce(documents: DocumentStore, agent: Agent, now: number): Promise<void> {
  const selectors = [...new Set(agent.manifest.map(({ selector }) => selectorKey(selector)))]
  return edit(documents, agent.clientId, (stored) => withManifest(stored ?? newUsage(now), selectors, now))
}

/** Of agents of whom something is known. @throws StoreUnavailable */
export async function readUsages(
  documents: DocumentStore,
  agents: readonly Agent[],
): Promise<ReadonlyMap<string, AgentUsage>> {
  const found = new Map<string, AgentUsage>()
  for (let from = 0; from < agents.length; from += READS_AT_ONCE) {
    const ids = agents.slice(from, from + READS_AT_ONCE).map(({ clientId }) => clientId)
    const texts = await Promise.all(ids.map((clientId) => documents.read(nameOf(clientId))))
    texts.forEach((text, index) => {
      const usage = text === undefined ? undefined : decodeUsage(text)
      if (usage !== undefined) found.set(ids[index] ?? '', usage)
    })
  }
  return found
}

async function edit(
  documents: DocumentStore,
  clientId: string,
  change: (stored: AgentUsage | undefined) => AgentUsage,
): Promise<void> {
  const name = nameOf(clientId)
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const before = await documents.read(name)
    const after = encodeUsage(change(before === undefined ? undefined : decodeUsage(before)))
    if (after === before || (await documents.replace(name, before, after))) return
  }
  throw new StoreUnavailable('the document of an agent’s use was changed by others each time')
}

function nameOf(clientId: string): string {
  return `usage:${clientId}`
}
