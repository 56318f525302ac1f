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
  return asFault(() => decode(value))
}

function asFault<T>(read: () => T): T {
  try {
    return read()
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

/** For sessions, of which a store holds a million: by resource its URL, scopes, tools and, where calls are counted, how many. */
export function encodeResources(resources: Authority['resources']): readonly unknown[] {
  return [...resources].map(([url, { scopes, tools, limits }]) => {
    const counted = limits.maxCalls === undefined ? [] : [limits.maxCalls]
    return [url, scopes, encodeTools(tools), ...counted]
  })
}

/** @throws Error if it is not what `encodeResources` wrote. */
export function decodeResources(value: unknown): Authority['resources'] {
  return asFault(() => {
    if (!Array.isArray(value)) throw malformed('resources', 'must be an array')
    const resources = new Map<ResourceUrl, ResourceAuthority>()
    for (const [place, member] of value.entries()) {
      const path = `resources[${place}]`
      if (!Array.isArray(member) || member.length < 3 || member.length > 4)
        throw malformed(path, 'must have its members')
      const [url, scopes, tools, maxCalls] = member as readonly unknown[]
      if (typeof url !== 'string' || resources.has(url as ResourceUrl)) throw malformed(path, 'must be named, once')
      canonicalResource(url)
      resources.set(url as ResourceUrl, {
        scopes: decodeScopes(scopes, `${path}.scopes`),
        tools: parseTools(tools, `${path}.tools`),
        limits: member.length === 3 ? {} : parseLimits({ maxCalls }, `${path}.limits`),
      })
    }
    return resources
  })
}

function decodeScopes(value: unknown, path: string): ScopeSet {
  if (!Array.isArray(value)) throw malformed(path, 'must be an array')
  const members = value.map((member: unknown) => {
    if (typeof member !== 'string' || !isScopeToken(member)) throw malformed(path, 'must hold scope tokens')
    return member
  })
  return scopeSet(members)
}
