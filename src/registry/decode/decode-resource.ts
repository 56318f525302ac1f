/** A resource's entry as the noun it describes. */
import type { ToolConstraints } from '../../authority/authority.ts'
import type { ClientId, ResourceUrl } from '../../kernel/ids.ts'
import { ACCESS_TOKEN_LIFETIME_S_DEFAULT } from '../../kernel/limits.ts'
import type { Intent } from '../../model/intent.ts'
import type { Resource, Tool } from '../../model/resource.ts'
import type { ResourceEntry } from '../entries/resource-entry.ts'
import { decodeConstraints, decodePurpose } from './decode-selector.ts'

export function decodeResource(
  entry: ResourceEntry,
  path: string,
  accessTokenSeconds: number | undefined,
  problems: string[],
): Resource {
  return {
    id: entry.id,
    url: entry.url as ResourceUrl,
    owner: entry.owner,
    project: entry.project,
    state: entry.state,
    serverClient: entry.server_client as ClientId | undefined,
    enforces: entry.enforces,
    authorizationServer: entry.authorization_server,
    mode: entry.mode,
    senderConstraint: entry.sender_constraint,
    signingAlg: entry.signing_alg,
    accessTokenLifetimeSeconds: entry.access_token_seconds ?? accessTokenSeconds ?? ACCESS_TOKEN_LIFETIME_S_DEFAULT,
    tools: new Map(Object.entries(entry.tools).map(([name, tool]) => [name, decodeTool(name, tool)])),
    standingIntent: decodeStandingIntent(entry, `${path}.standing_intent`, problems),
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
