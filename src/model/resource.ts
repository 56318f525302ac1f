/** MCP servers, their tools, and the ways to name some of them. Decoded and checked by `registry/`; immutable. */
import type { ToolConstraints } from '../authority/authority.ts'
import type { ClientId, ResourceUrl } from '../kernel/ids.ts'
import { CLOCK_SKEW_S } from '../kernel/limits.ts'
import { CUTOFF_STALENESS_MS_MAX, FEED_STALE_MS_DEFAULT } from '../kernel/store-limits.ts'
import type { CaptureMode } from './captured.ts'
import type { Intent } from './intent.ts'
import { type LifecycleState, mayIssue } from './lifecycle.ts'

export type ToolCategory = 'read' | 'write' | 'destructive' | 'admin'
/**
 * What a resource checks by itself (DESIGN §3): its scope only, the tool's name too, or the arguments too. `calls`: it asks the
 * broker before each call as well, and tells it how the call ended, so that calls can be counted and approved.
 */
export type Enforcement = 'scope' | 'tools' | 'arguments' | 'calls'
/** How a server learns that a token for it was revoked; `offline`: not at all, it believes the token until its end. */
export type RevocationCheck = 'feed' | 'introspection' | 'offline'
export type SigningAlg = 'ES256' | 'RS256' | 'Ed25519'

/** So many calls within any stretch of so many seconds. */
export interface CallBudget {
  readonly maxCalls: number
  readonly perSeconds: number
}

export interface Tool {
  readonly name: string
  readonly category: ToolCategory
  /** The scope that opens it. */
  readonly scope: string
  /** Whether it may be delegated to agents at all. */
  readonly delegable: boolean
  /** `required`: each call of it is let through once a person has said yes to exactly that call. */
  readonly approval: 'required' | 'none'
  /** How often an agent may call it for a subject, whatever the session; `undefined`: the sessions' own limits are all. */
  readonly budget: CallBudget | undefined
  /** How what it is called with and what it answers are captured, where that is not as the configuration says. */
  readonly capture: Readonly<Partial<Record<'arguments' | 'response', CaptureMode>>>
  /** Places in its arguments (RFC 6901; `*`: each member) whose values are captured in no case. */
  readonly redact: readonly string[]
  /** The argument whose value is the id of the container that a call stays in. */
  readonly containerArgument: string | undefined
}

/** A node of the tree between the organisation, which is its root, and the servers. */
export interface Project {
  readonly id: string
  readonly owner: string
  /** Its own id first, then those of the projects above it. */
  readonly lineage: readonly string[]
}

/** What a server keeps other things in: a folder, a channel. What lies in it has no entry, and is judged by where it lies. */
export interface Container {
  readonly id: string
  readonly type: string
  /** Its own id first, then those of the containers above it at the same server. */
  readonly lineage: readonly string[]
  readonly attributes: ReadonlyMap<string, string | number | boolean>
}

/** `reviewedOn`: `2026-01-31`. */
export interface VendorReview {
  readonly reviewedOn: string
  readonly residency: string
}

/** A registered MCP server. */
export interface Resource {
  readonly id: string
  /** What people call it, and records of what was done there; its id, where nobody has said. */
  readonly name: string
  readonly url: ResourceUrl
  readonly owner: string
  readonly project: string
  /** The lineage of its project: what is said of any of them is said of it. */
  readonly projects: readonly string[]
  readonly state: LifecycleState
  /** Epoch seconds; `undefined`: nobody has certified it. */
  readonly certifiedUntil: number | undefined
  /** `external`: somebody else runs it, and nothing is issued for it before whoever that is was reviewed. */
  readonly exposure: 'internal' | 'external'
  readonly vendorReview: VendorReview | undefined
  /** The service that this server authenticates as; it alone may introspect tokens for `url`. */
  readonly serverClient: ClientId | undefined
  readonly enforces: Enforcement
  /** Slug of whose tokens it takes, where they are not this broker's: for it there are ID-JAGs only. */
  readonly authorizationServer: string | undefined
  /** `personal` servers hold a person's data: they need a user subject. */
  readonly mode: 'shared' | 'personal'
  /** Whether its tokens must be bound to a key of their holder (RFC 9449, RFC 8705). */
  readonly senderConstraint: 'optional' | 'required'
  readonly revocationCheck: RevocationCheck
  readonly signingAlg: SigningAlg
  readonly accessTokenLifetimeSeconds: number
  /** Whether what is said of its tools was said of these: `false`, and each counts as `admin`, until they are pinned again. */
  readonly isClassified: boolean
  readonly tools: ReadonlyMap<string, Tool>
  readonly containers: ReadonlyMap<string, Container>
  /** What users' work here is for where neither the request nor the agent's entry says it: enterprise-managed users only. */
  readonly standingIntent: Intent | undefined
}

/**
 * For how many seconds at most the server believes a token that was revoked. The feed says as of when it is true, by the store's
 * own clock; an introspection is answered by a broker that may be behind another; who asks nobody believes until the end.
 */
export function believedSecondsMax({
  revocationCheck,
  accessTokenLifetimeSeconds,
}: Pick<Resource, 'revocationCheck' | 'accessTokenLifetimeSeconds'>): number {
  if (revocationCheck === 'feed') return FEED_STALE_MS_DEFAULT / 1000
  if (revocationCheck === 'introspection') return CUTOFF_STALENESS_MS_MAX / 1000
  return accessTokenLifetimeSeconds + CLOCK_SKEW_S
}

/** Why a broker of this environment issues nothing for it; `undefined`: it does. */
export function whyNotIssuedFor(
  { state, exposure, vendorReview }: Pick<Resource, 'state' | 'exposure' | 'vendorReview'>,
  environment: string,
): NotIssued | undefined {
  if (!mayIssue(state, environment)) {
    return { reason: 'resource_inactive', says: state === 'testing' ? `testing, and this is ${environment}` : state }
  }
  return exposure === 'external' && vendorReview === undefined
    ? { reason: 'resource_unreviewed', says: 'external, and its vendor has not been reviewed' }
    : undefined
}

export interface NotIssued {
  readonly reason: 'resource_inactive' | 'resource_unreviewed'
  /** `suspended` */
  readonly says: string
}

/** Which tools a rule reaches. All members given must match; at least one is; `*` is written where all is meant. */
export interface ToolSelector {
  /** With the projects below it, and their servers. */
  readonly project?: string
  readonly server?: string
  readonly tool?: string
  readonly category?: ToolCategory
  /** Only where the tool is used within this container of `server`, or one below it. */
  readonly container?: string
}

export interface ManifestEntry {
  readonly selector: ToolSelector
  readonly constraints: ToolConstraints
}
