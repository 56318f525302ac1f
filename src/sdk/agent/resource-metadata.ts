/**
 * What an MCP server says about itself (RFC 9728), before it is given a token that nobody here has named it for: read from its
 * own origin only, and believed only where it names itself, and the broker that is configured.
 */
import { isJsonObject, parseStrictJson } from '../../jose/strict-json.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { canonicalResource } from '../../protocol/resource.ts'
import { BrokerRefused, type JsonDoor } from '../broker/http.ts'
import { NotTrusted } from './agent-errors.ts'
import { isSecure } from './secure-url.ts'

/**
 * @param url what is called, without query and fragment
 * @param named `resource_metadata` of the server's challenge, where it has one
 * @returns the resource as the server spells it; `undefined`: it publishes nothing
 * @throws NotTrusted where it is another resource, or of another authorization server
 */
export async function protectedResource(
  url: string,
  named: string | undefined,
  { issuer, door }: { readonly issuer: string; readonly door: JsonDoor },
): Promise<string | undefined> {
  const { origin } = new URL(url)
  if (named !== undefined && !(isSecure(named) && new URL(named).origin === origin)) {
    throw new NotTrusted(`${origin} points to resource metadata at another origin than its own`)
  }
  for (const place of named === undefined ? placesOf(url) : [named]) {
    const document = await read(place, door)
    if (document === undefined) continue
    return checked(document, url, issuer)
  }
  return undefined
}

/** RFC 9728 §3.1; MCP: the root of the origin, where the path has none. */
function placesOf(url: string): readonly string[] {
  const { origin, pathname } = new URL(url)
  const root = `${origin}/.well-known/oauth-protected-resource`
  return pathname === '/' ? [root] : [`${root}${pathname}`, root]
}

async function read(url: string, door: JsonDoor): Promise<Readonly<Record<string, unknown>> | undefined> {
  try {
    const value = parseStrictJson(await door({ url }))
    return isJsonObject(value) ? value : undefined
  } catch (error) {
    if (error instanceof BrokerRefused) return undefined
    throw new NotTrusted(`the resource metadata of ${new URL(url).origin} cannot be read`)
  }
}

function checked(document: Readonly<Record<string, unknown>>, url: string, issuer: string): string {
  const { resource, authorization_servers: servers } = document
  const { origin } = new URL(url)
  // RFC 9728 §3.3: identical to what is called. A token for another resource would be given away to this one.
  if (typeof resource !== 'string' || canonicalOf(resource) !== canonicalOf(url)) {
    throw new NotTrusted(`the metadata of ${url} are about another resource: no token was asked for`)
  }
  const isOurs = Array.isArray(servers) && servers.some((server) => server === issuer || server === `${issuer}/`)
  if (isOurs) return resource
  throw new NotTrusted(`${origin} takes tokens of other authorization servers than ${issuer}: no token was asked for`)
}

export function canonicalOf(url: string): string | undefined {
  try {
    return canonicalResource(url)
  } catch (error) {
    if (error instanceof Rejection) return undefined
    throw error
  }
}
