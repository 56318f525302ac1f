/** A resource's entry as the noun it describes. */
import type { ToolConstraints } from '../../authority/authority.ts'
import type { ClientId, ResourceUrl } from '../../kernel/ids.ts'
import { ACCESS_TOKEN_LIFETIME_S_DEFAULT, CONTAINER_DEPTH_MAX, PROJECT_DEPTH_MAX } from '../../kernel/limits.ts'
import type { Intent } from '../../model/intent.ts'
import type { Container, Project, Resource, Tool } from '../../model/resource.ts'
import type { ProjectEntry } from '../entries/project-entry.ts'
import type { ResourceEntry } from '../entries/resource-entry.ts'
import { manifestDigest } from '../manifest-digest.ts'
import { lineages } from '../tree.ts'
import { decodeConstraints, decodePurpose } from './decode-selector.ts'

/** What a resource takes from outside of its entry. */
export interface ResourceSurroundings {
  readonly accessTokenSeconds: number | undefined
  readonly projects: readonly Project[]
}

export function decodeProjects(entries: readonly ProjectEntry[]): readonly Project[] {
  const lines = lineages(entries, PROJECT_DEPTH_MAX)
  return entries.map(({ id, owner }) => ({ id, owner, lineage: lines.get(id) ?? [id] }))
}

export function decodeResource(
  entry: ResourceEntry,
  path: string,
  { accessTokenSeconds, projects }: ResourceSurroundings,
  problems: string[],
): Resource {
  const isClassified = entry.manifest_digest === undefined || entry.manifest_digest === manifestDigest(entry.tools)
  for (const [name, { budget }] of Object.entries(entry.tools)) {
    if (budget === undefined || entry.enforces === 'calls') continue
    problems.push(`${path}.tools.${name}.budget: only with enforces: calls, since nobody else asks before each call`)
  }
  const classified = (tool: ToolEntry): ToolEntry =>
    isClassified ? tool : { ...tool, category: undefined, delegable: undefined, approval: undefined }
  return {
    id: entry.id,
    name: entry.name ?? entry.id,
    url: entry.url as ResourceUrl,
    owner: entry.owner,
    project: entry.project,
    projects: projects.find(({ id }) => id === entry.project)?.lineage ?? [entry.project],
    state: entry.state,
    certifiedUntil: entry.certified_until,
    exposure: entry.exposure,
    vendorReview:
      entry.vendor_review === undefined
        ? undefined
        : { reviewedOn: entry.vendor_review.reviewed_on, residency: entry.vendor_review.residency },
    serverClient: entry.server_client as ClientId | undefined,
    enforces: entry.enforces,
    authorizationServer: entry.authorization_server,
    mode: entry.mode,
    senderConstraint: entry.sender_constraint,
    // What nobody has said is the worst.
    revocationCheck: entry.revocation_check ?? 'offline',
    signingAlg: entry.signing_alg,
    accessTokenLifetimeSeconds: entry.access_token_seconds ?? accessTokenSeconds ?? ACCESS_TOKEN_LIFETIME_S_DEFAULT,
    isClassified,
    tools: new Map(
      Object.entries(entry.tools).map(([name, tool]) => [name, decodeTool(name, classified(tool), entry)]),
    ),
    containers: decodeContainers(entry),
    standingIntent: decodeStandingIntent(entry, `${path}.standing_intent`, problems),
  }
}

function decodeContainers({ containers }: ResourceEntry): ReadonlyMap<string, Container> {
  const lines = lineages(containers, CONTAINER_DEPTH_MAX)
  return new Map(
    containers.map(({ id, type, attributes }) => [
      id,
      { id, type, lineage: lines.get(id) ?? [id], attributes: new Map(Object.entries(attributes)) },
    ]),
  )
}

type ToolEntry = ResourceEntry['tools'][string]

/** A tool nobody classified is treated as the most dangerous kind, and the dangerous kinds are delegable only on request. */
function decodeTool(name: string, entry: ToolEntry, { enforces }: Pick<ResourceEntry, 'enforces'>): Tool {
  const category = entry.category ?? 'admin'
  const isDangerous = category === 'destructive' || category === 'admin'
  return {
    name,
    category,
    scope: entry.scope ?? `mcp:tools:${category}`,
    delegable: entry.delegable ?? !isDangerous,
    // Where nobody asks before the call, it cannot be held to one: to ask for it there anyway is a word of its own.
    approval: entry.approval ?? (isDangerous && enforces === 'calls' ? 'required' : 'none'),
    budget: entry.budget && { maxCalls: entry.budget.max_calls, perSeconds: entry.budget.per_seconds },
    containerArgument: entry.container_argument,
    capture: {
      ...(entry.capture?.arguments && { arguments: entry.capture.arguments }),
      ...(entry.capture?.responses && { response: entry.capture.responses }),
    },
    redact: entry.redact ?? [],
  }
}

function decodeStandingIntent(entry: ResourceEntry, path: string, problems: string[]): Intent | undefined {
  const { standing_intent: standing, url } = entry
  if (standing === undefined) return undefined
  const tools = Object.entries(standing.tools).map(([tool, constraints]): [string, ToolConstraints] => [
    tool,
    decodeConstraints(constraints, `${path}.tools.${tool}`, problems),
  ])
  return {
    purpose: decodePurpose(standing.purpose, `${path}.purpose`, problems),
    origin: undefined,
    expiresIn: standing.expires_in,
    maxDepth: undefined,
    tools: new Map([[url as ResourceUrl, { tools: new Map(tools), limits: {} }]]),
  }
}
