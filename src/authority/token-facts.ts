/** What cut-offs and blocks look at: of a token of this broker, and of a credential of somebody else. */

/** What of a token decides whether a cut-off concerns it. */
export interface TokenFacts {
  /** The highest sequence number its broker had applied when it decided. */
  readonly rv: number
  readonly session?: string
  /** Its path of nodes, and its own `jti`. */
  readonly nodes: readonly string[]
  /** Client ids of *all* actors in the chain: inner actors authorize nothing, and still count for revocation. */
  readonly agents: readonly string[]
  /** `pairKey(client id, version)` of every agent whose version it names: its holder, and those that passed it on. */
  readonly versions: readonly string[]
  /** User principal. */
  readonly user?: string
  /** Whom it is about, user or agent: what pairs are keyed by. Absent: the user. */
  readonly subject?: string
  readonly kid?: string
  readonly accessToken: boolean
  /** The one resource an access token is for. */
  readonly audience?: string
}

/** A foreign credential: it has no `rv`, so its time is compared. */
export interface EvidenceFacts {
  readonly digest: string
  /** `undefined`: it says who a client is, whoever that works for. */
  readonly subject: string | undefined
  /** Client id. */
  readonly agent: string
  /** Of the agent that brings it; absent: nobody that has versions does. */
  readonly version?: string
  /** User principal. */
  readonly user?: string
  /** Slug of the issuer, of what is believed later without its token being read again. */
  readonly issuer?: string
  /** Epoch seconds. */
  readonly signedInAt: number
}

/** Hops of a chain, and the root that they hang from. */
const BUILDS_MAX = 16
const BUILD_CHARS_MAX = 256

/**
 * `versions` of a token's claims `client_id` and `agent`. Empty: it names none, as an API token of a service does.
 * `undefined`: malformed, and the token is good for nothing.
 */
export function versionsNamed(clientId: string, agent: unknown): readonly string[] | undefined {
  if (agent === undefined) return []
  if (typeof agent !== 'object' || agent === null || Array.isArray(agent)) return undefined
  const { version, via = [] } = agent as { readonly version?: unknown; readonly via?: unknown }
  if (!isBuild(version) || !Array.isArray(via) || via.length > BUILDS_MAX || !via.every(isBuild)) return undefined
  return [`${clientId}|${version}`, ...via]
}

/** Of `versionsNamed`, which build of this client: the one that holds the token, or else the first that passed it on. */
export function buildOf(clientId: string, versions: readonly string[]): string | undefined {
  return versions.find((build) => build.startsWith(`${clientId}|`))?.slice(clientId.length + 1)
}

function isBuild(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= BUILD_CHARS_MAX
}

/** The process of that build, by its own word; `undefined`: none was named, or the token is another's than this client's. */
export function instanceOf(
  client: string,
  token: { readonly clientId: string; readonly agent: unknown },
): string | undefined {
  if (client !== token.clientId || typeof token.agent !== 'object' || token.agent === null) return undefined
  const { instance } = token.agent as { readonly instance?: unknown }
  return typeof instance === 'string' ? instance : undefined
}
