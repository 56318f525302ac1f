/**
 * Authority as JSON for the store, and back. The round trip is the identity.
 *
 * Anything malformed is thrown as an `Error`, not a Rejection: what the broker wrote itself is not the caller's mistake, and a
 * record that cannot be read grants nothing.
 */
import type { ResourceUrl } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import { canonicalResource } from '../protocol/resource.ts'
import { isScopeToken, type ScopeSet, scopeSet } from '../protocol/scope.ts'
import type { Authority, ResourceAuthority } from './authority.ts'
import { encodeLimits, encodeTools, parseLimits, parseTools } from './resource-tools.ts'
import { malformed, own, parseClosedObject, parseInteger, parseObject } from './strict-object.ts'

export function encodeAuthority(authority: Authority): Readonly<Record<string, unknown>> {
  const resources = [...authority.resources].map(([url, { scopes, tools, limits }]) => [
    url,
    { scopes, tools: encodeTools(tools), ...encodeLimits(limits) },
  ])
  return { resources: Object.fromEntries(resources), notAfter: authority.notAfter, maxDepth: authority.maxDepth }
}

/** @throws Error if the record is not one that `encodeAuthority` wrote. */
export function decodeAuthority(value: unknown): Authority {
  try {
    return decode(value)
  } catch (cause) {
    if (cause instanceof Rejection) throw new Error(`stored authority is malformed: ${cause.message}`)
    throw cause
  }
}

function decode(value: unknown): Authority {
  const object = parseClosedObject(value, 'authority', ['resources', 'notAfter', 'maxDepth'])
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [url, member] of Object.entries(parseObject(own(object, 'resources'), 'resources'))) {
    canonicalResource(url)
    const path = `resources[${resources.size}]`
    const resource = parseClosedObject(member, path, ['scopes', 'tools', 'limits'])
    resources.set(url as ResourceUrl, {
      scopes: decodeScopes(own(resource, 'scopes'), `${path}.scopes`),
      tools: parseTools(own(resource, 'tools'), `${path}.tools`),
      limits: parseLimits(own(resource, 'limits'), `${path}.limits`),
    })
  }
  return {
    resources,
    notAfter: parseInteger(own(object, 'notAfter'), 'notAfter', 0),
    maxDepth: parseInteger(own(object, 'maxDepth'), 'maxDepth', 0),
  }
}

function decodeScopes(value: unknown, path: string): ScopeSet {
  if (!Array.isArray(value)) throw malformed(path, 'must be an array')
  const members = value.map((member: unknown) => {
    if (typeof member !== 'string' || !isScopeToken(member)) throw malformed(path, 'must hold scope tokens')
    return member
  })
  return scopeSet(members)
}
