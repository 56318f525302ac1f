/** An agent's entry as the noun it describes; whether its references lead anywhere is for `cross-checks.ts`. */
import type { ToolConstraints } from '../../authority/authority.ts'
import type { ClientId, ResourceUrl } from '../../kernel/ids.ts'
import type { Agent, AgentVersion, ClientKeySet } from '../../model/client.ts'
import type { IntentTools } from '../../model/intent.ts'
import type { AgentEntry, StandingIntentEntry } from '../entries/agent-entry.ts'
import { decodeApiKeys } from './decode-api-keys.ts'
import { decodeClient } from './decode-client.ts'
import { decodeConstraints, decodeManifest, decodePurpose } from './decode-selector.ts'

/** `urls`: registered resources by id, for the standing intent and for API keys. */
export function decodeAgent(
  entry: AgentEntry,
  path: string,
  urls: ReadonlyMap<string, ResourceUrl>,
  problems: string[],
): Agent {
  return {
    kind: 'agent',
    ...decodeClient(entry, path, problems),
    ...(entry.client_metadata === undefined ? {} : { keySets: [metadataKeys(entry.client_id, entry.client_metadata)] }),
    owner: entry.owner,
    environment: entry.environment,
    certifiedUntil: entry.certified_until,
    versions: new Map(entry.versions.map((one) => [one.version, versionOf(one)])),
    manifest: decodeManifest(entry.manifest, path, problems),
    delegates: entry.delegates.map((clientId) => clientId as ClientId),
    upstreamClientIds: new Map(Object.entries(entry.upstream)),
    issuance: entry.issuance.map(({ scope, per_minute }) => ({ scope, perMinute: per_minute })),
    apiKeys: decodeApiKeys(entry.api_keys, `${path}.api_keys`, urls, problems),
    standingIntent:
      entry.standing_intent === undefined
        ? undefined
        : decodeStandingIntent(entry.standing_intent, `${path}.standing_intent`, urls, problems),
  }
}

function versionOf({ version, state, model, image_digest }: AgentEntry['versions'][number]): AgentVersion {
  return { version, state, model, imageDigest: image_digest }
}

function metadataKeys(url: string, entry: NonNullable<AgentEntry['client_metadata']>): ClientKeySet {
  return {
    document: 'client_metadata',
    jwksUri: url,
    algorithms: [...new Set(entry.algorithms)],
    version: entry.version,
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
    purpose: decodePurpose(entry.purpose, `${path}.purpose`, problems),
    origin: undefined,
    expiresIn: entry.expires_in,
    maxDepth: entry.max_depth,
    tools: byResource,
  }
}
