/**
 * What is known of one agent's use of its authority: one document in the store, which brokers merge by the later time, so that
 * neither order nor repetition of their writes matters.
 */
import { z } from 'zod'
import { USAGE_NAMES_MAX, USAGE_RESOURCES_MAX } from '../../kernel/store-limits.ts'
import type { VerifiedClient } from '../../model/evidence.ts'
import { LastUses } from './last-uses.ts'

/** Of one MCP server, by the scopes and tools that access tokens for it carried. */
export interface ResourceUsage {
  readonly scopes: LastUses
  readonly tools: LastUses
}

/** Times are epoch seconds. */
export interface AgentUsage {
  /** Since when its use is counted: when a broker first had it in its registry. */
  readonly since: number
  /** When it was last issued anything. */
  seen: number | undefined
  /** Since when its manifest has each entry, by `selectorKey`. */
  readonly manifest: ReadonlyMap<string, number>
  /** By resource id. */
  readonly resources: Map<string, ResourceUsage>
  /** By id: the allow grants that a decision for it matched. */
  readonly grants: LastUses
  /** By `credentialName`. */
  readonly credentials: LastUses
  /** By `user:<slug>:<sub>`: on whose behalf. */
  readonly users: LastUses
}

export function newUsage(since: number): AgentUsage {
  const names = () => new LastUses(USAGE_NAMES_MAX)
  return {
    since,
    seen: undefined,
    manifest: new Map(),
    resources: new Map(),
    grants: names(),
    credentials: names(),
    users: names(),
  }
}

/** `undefined`: there are too many already. */
export function usageAt(usage: AgentUsage, resource: string): ResourceUsage | undefined {
  const known = usage.resources.get(resource)
  if (known !== undefined || usage.resources.size >= USAGE_RESOURCES_MAX) return known
  const added = { scopes: new LastUses(USAGE_NAMES_MAX), tools: new LastUses(USAGE_NAMES_MAX) }
  usage.resources.set(resource, added)
  return added
}

/** Whether it certainly was not used from `from` on. */
export function isToolUnusedSince(usage: AgentUsage, resource: string, tool: string, from: number): boolean {
  const there = usage.resources.get(resource)
  return there === undefined ? usage.resources.size < USAGE_RESOURCES_MAX : there.tools.isUnusedSince(tool, from)
}

/** Method and, where a platform vouches, its slug; the version of the agent; the name of the key, secret or workload. */
export function credentialName({
  authentication,
  version,
}: Pick<VerifiedClient, 'authentication' | 'version'>): string {
  const { method, issuer, credential } = authentication
  return `${issuer === undefined ? method : `${method}/${issuer}`} ${version} ${credential}`
}

/** @param stored whose `manifest` holds: what this process counts has none */
export function merged(stored: AgentUsage, counted: AgentUsage): AgentUsage {
  const resources = new Map(stored.resources)
  for (const [id, { scopes, tools }] of counted.resources) {
    const known = resources.get(id)
    resources.set(
      id,
      known ? { scopes: known.scopes.mergedWith(scopes), tools: known.tools.mergedWith(tools) } : { scopes, tools },
    )
  }
  const seen = Math.max(stored.seen ?? 0, counted.seen ?? 0)
  return {
    since: Math.min(stored.since, counted.since),
    seen: seen === 0 ? undefined : seen,
    manifest: stored.manifest,
    resources: new Map([...resources].slice(0, USAGE_RESOURCES_MAX)),
    grants: stored.grants.mergedWith(counted.grants),
    credentials: stored.credentials.mergedWith(counted.credentials),
    users: stored.users.mergedWith(counted.users),
  }
}

/** Entries that it does not have any more are forgotten; those it had already keep their time. */
export function withManifest(usage: AgentUsage, selectors: readonly string[], now: number): AgentUsage {
  return { ...usage, manifest: new Map(selectors.map((key) => [key, usage.manifest.get(key) ?? now])) }
}

export function encodeUsage({ since, seen, manifest, resources, grants, credentials, users }: AgentUsage): string {
  return JSON.stringify({
    v: VERSION,
    since,
    seen,
    manifest: [...manifest],
    resources: [...resources],
    grants,
    credentials,
    users,
  })
}

const VERSION = 1
const time = z.int().min(0)
const times = z.array(z.tuple([z.string(), time]))
const uses = z
  .strictObject({ at: times, forgotten: time })
  .transform(({ at, forgotten }) => new LastUses(USAGE_NAMES_MAX, at, forgotten))
const document = z.strictObject({
  v: z.literal(VERSION),
  since: time,
  seen: time.optional(),
  manifest: times,
  resources: z.array(z.tuple([z.string(), z.strictObject({ scopes: uses, tools: uses })])),
  grants: uses,
  credentials: uses,
  users: uses,
})

/** `undefined`: it is none of ours; counting begins anew rather than stop. */
export function decodeUsage(text: string): AgentUsage | undefined {
  const parsed = document.safeParse(jsonOf(text))
  if (!parsed.success) return undefined
  const { seen, manifest, resources, ...rest } = parsed.data
  return { ...rest, seen, manifest: new Map(manifest), resources: new Map(resources) }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
