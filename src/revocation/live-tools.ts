/**
 * What a live access token still opens where single tools of its server were cut off (DESIGN §7): the token lives, its scope and
 * details are answered without them. A server that checks scopes alone hears no tool's name, so for it a scope ends with any tool
 * that it opens.
 */
import type { CutoffSet } from '../authority/cutoffs.ts'
import { concerningCall } from '../authority/dimensions.ts'
import type { VerifiedAccess } from '../credentials/own-token.ts'
import type { Resource } from '../model/resource.ts'
import { formatScope, parseScope } from '../protocol/scope.ts'

type Claims = Readonly<Record<string, unknown>>

/** Its claims as they count now; `undefined`: nothing is left of them. */
export function liveClaims(token: VerifiedAccess, resource: Resource, set: CutoffSet): Claims | undefined {
  const isDead = (tool: string) => set.killingAny([concerningCall(resource.url, tool)], token.rv) !== undefined
  const details = detailsOf(token.claims)
  const named = details.flatMap(({ tools }) => Object.keys(tools))
  if (![...named, ...resource.tools.keys()].some(isDead)) return token.claims
  const alive = new Set(named.filter((tool) => !isDead(tool)))
  const scopes = parseScope(token.scope).filter((scope) => {
    const opened = [...resource.tools.values()].filter((tool) => tool.scope === scope)
    if (!opened.some(({ name }) => isDead(name))) return true
    return resource.enforces !== 'scope' && opened.some(({ name }) => alive.has(name))
  })
  if (scopes.length === 0 || alive.size === 0) return undefined
  const left = details.map((object) => ({
    ...object,
    tools: Object.fromEntries(Object.entries(object.tools).filter(([tool]) => alive.has(tool))),
  }))
  return { ...token.claims, scope: formatScope(scopes), authorization_details: left }
}

/** As `encodeResourceDetails` writes them: the token is our own, and verified. */
function detailsOf(claims: Claims): readonly { readonly tools: Readonly<Record<string, unknown>> }[] {
  const details = claims['authorization_details']
  return Array.isArray(details) ? details : []
}
