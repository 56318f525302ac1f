/**
 * One entry of a policy document as the noun it describes. Constraints are decoded here, by the part that
 * knows them, and clients’ credentials in `decode-client.ts`; whether an entry's references lead anywhere is for `cross-checks.ts`.
 */
import type { ToolConstraints } from '../authority/authority.ts'
import { parseToolConstraints } from '../authority/constraints.ts'
import { parseProse } from '../authority/strict-object.ts'
import type { ClientId, ResourceUrl } from '../kernel/ids.ts'
import { ACCESS_TOKEN_LIFETIME_S_DEFAULT, PURPOSE_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { IntentTools } from '../model/intent.ts'
import type {
  Agent,
  Grant,
  Issuer,
  PrincipalSelector,
  Resource,
  Service,
  Tool,
  ToolSelector,
  User,
} from '../model/registry.ts'
import { decodeClient } from './decode-client.ts'
import type {
  AgentEntry,
  GrantEntry,
  IssuerEntry,
  ResourceEntry,
  SelectorEntry,
  ServiceEntry,
  StandingIntentEntry,
  UserEntry,
} from './registry-document.ts'

export function decodeIssuer(entry: IssuerEntry): Issuer {
  return {
    issuer: entry.issuer,
    slug: entry.slug,
    jwksUri: entry.jwks_uri,
    algorithms: [...new Set(entry.algorithms)],
    acceptsIdTokens: entry.accepts.id_token,
    accessTokenScope: entry.accepts.access_token,
    otherAudiences: entry.other_audiences,
    userAudience: entry.user_audience,
    users: entry.users,
    acceptsForeignActors: entry.accepts_foreign_actors,
    sessionMayOutliveSubject: entry.session_may_outlive_subject,
    givesAuthTime: entry.gives_auth_time,
  }
}

export function decodeUser(entry: UserEntry): User {
  return {
    issuerSlug: entry.issuer,
    sub: entry.sub,
    active: entry.active,
    groups: entry.groups,
    roles: entry.roles,
  }
}

export function decodeResource(entry: ResourceEntry, accessTokenSeconds: number | undefined): Resource {
  return {
    id: entry.id,
    url: entry.url as ResourceUrl,
    owner: entry.owner,
    project: entry.project,
    state: entry.state,
    serverClient: entry.server_client as ClientId | undefined,
    enforces: entry.enforces,
    mode: entry.mode,
    signingAlg: entry.signing_alg,
    accessTokenLifetimeSeconds: entry.access_token_seconds ?? accessTokenSeconds ?? ACCESS_TOKEN_LIFETIME_S_DEFAULT,
    tools: new Map(Object.entries(entry.tools).map(([name, tool]) => [name, decodeTool(name, tool)])),
  }
}

/** A tool nobody classified is treated as the most dangerous kind, and the dangerous kinds are delegable only on request. */
function decodeTool(name: string, entry: ResourceEntry['tools'][string]): Tool {
  const category = entry.category ?? 'admin'
  return {
    name,
    category,
    scope: entry.scope ?? `mcp:tools:${category}`,
    delegable: entry.delegable ?? (category === 'read' || category === 'write'),
  }
}

export function decodeService(entry: ServiceEntry, path: string, problems: string[]): Service {
  return { kind: 'service', ...decodeClient(entry, path, problems) }
}

/** `urls`: registered resources by id, for the standing intent. */
export function decodeAgent(
  entry: AgentEntry,
  path: string,
  urls: ReadonlyMap<string, ResourceUrl>,
  problems: string[],
): Agent {
  return {
    kind: 'agent',
    ...decodeClient(entry, path, problems),
    owner: entry.owner,
    environment: entry.environment,
    manifest: entry.manifest.map(({ constraints, ...selector }, index) => ({
      selector: decodeSelector(selector),
      constraints: decodeConstraints(constraints, `${path}.manifest[${index}].constraints`, problems),
    })),
    delegates: entry.delegates.map((clientId) => clientId as ClientId),
    upstreamClientIds: new Map(Object.entries(entry.upstream)),
    issuance: entry.issuance.map(({ scope, per_minute }) => ({ scope, perMinute: per_minute })),
    standingIntent:
      entry.standing_intent === undefined
        ? undefined
        : decodeStandingIntent(entry.standing_intent, `${path}.standing_intent`, urls, problems),
  }
}

function decodeStandingIntent(
  entry: StandingIntentEntry,
  path: string,
  urls: ReadonlyMap<string, ResourceUrl>,
  problems: string[],
) {
  const byResource = new Map<ResourceUrl, IntentTools>()
  for (const [resourceId, entryTools] of Object.entries(entry.tools)) {
    const url = urls.get(resourceId)
    // An unknown id is reported by the cross-checks.
    if (url === undefined) continue
    const tools = new Map<string, ToolConstraints>()
    for (const [tool, constraints] of Object.entries(entryTools)) {
      tools.set(tool, decodeConstraints(constraints, `${path}.tools.${resourceId}.${tool}`, problems))
    }
    byResource.set(url, { tools, limits: {} })
  }
  return {
    purpose: told(() => parseProse(entry.purpose, `${path}.purpose`, PURPOSE_CHARS_MAX), entry.purpose, problems),
    origin: undefined,
    expiresIn: entry.expires_in,
    maxDepth: entry.max_depth,
    tools: byResource,
  }
}

export function decodeGrant(entry: GrantEntry, path: string, problems: string[]): Grant {
  // A deny with constraints would have to say what it means for the calls outside them; until it does, it is refused.
  if (entry.effect === 'deny' && entry.constraints !== undefined) {
    problems.push(`${path}.constraints: a deny cannot have constraints; it denies the tool as a whole`)
  }
  const { not_before: notBefore, not_after: notAfter, environment } = entry.when
  if (notBefore !== undefined && notAfter !== undefined && notAfter <= notBefore) {
    problems.push(`${path}.when: not_after must be later than not_before`)
  }
  return {
    id: entry.id,
    effect: entry.effect,
    principals: entry.principals.map((principal) => principal as PrincipalSelector),
    resources: entry.resources.map(decodeSelector),
    when: {
      ...(notBefore === undefined ? {} : { notBefore }),
      ...(notAfter === undefined ? {} : { notAfter }),
      ...(environment === undefined ? {} : { environment }),
    },
    constraints: decodeConstraints(entry.constraints, `${path}.constraints`, problems),
    reason: entry.reason,
  }
}

/** Absent: the tool is not constrained by this rule. */
function decodeConstraints(value: unknown, path: string, problems: string[]): ToolConstraints {
  const unconstrained: ToolConstraints = new Map()
  return value === undefined ? unconstrained : told(() => parseToolConstraints(value, path), unconstrained, problems)
}

/** The parsers of `authority/` begin their messages with the path they were given, extended to the member that is wrong. */
function told<T>(parse: () => T, meanwhile: T, problems: string[]): T {
  try {
    return parse()
  } catch (fault) {
    if (!(fault instanceof Rejection)) throw fault
    problems.push(fault.message)
    return meanwhile
  }
}

function decodeSelector(entry: SelectorEntry): ToolSelector {
  const { project, server, tool, category } = entry
  return {
    ...(project === undefined ? {} : { project }),
    ...(server === undefined ? {} : { server }),
    ...(tool === undefined ? {} : { tool }),
    ...(category === undefined ? {} : { category }),
  }
}
