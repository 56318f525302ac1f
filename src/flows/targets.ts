/** RFC 8693 §2.1 `resource` and `audience`, RFC 8707: which registered resources a request names. */
import type { ResourceUrl } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Registry } from '../model/registry.ts'
import type { Resource } from '../model/resource.ts'
import type { TokenRequest } from './token-request.ts'

/** Every resource named, each once. @throws Rejection `resource_unknown`: one unknown name refuses the whole request. */
export function namedResources(request: TokenRequest, registry: Registry, audiencesToo: boolean): readonly Resource[] {
  const named = new Map<ResourceUrl, Resource>()
  const add = (resource: Resource | undefined) => {
    if (resource === undefined) {
      throw new Rejection('resource_unknown', 'a resource or audience of the request is not registered here')
    }
    named.set(resource.url, resource)
  }
  for (const url of request.resources) add(registry.resource(url))
  if (audiencesToo) for (const name of request.audiences) add(registry.resourceByName(name))
  return [...named.values()]
}

/** The one resource an access token is for. @throws Rejection `target_missing`, `target_ambiguous` */
export function soleTarget(request: TokenRequest, registry: Registry): Resource {
  const [target, ...others] = namedResources(request, registry, true)
  if (target === undefined) {
    throw new Rejection('target_missing', 'an access token is for one MCP server: name it with resource (RFC 8707)')
  }
  if (others.length > 0) {
    throw new Rejection('target_ambiguous', 'an access token is for exactly one MCP server: ask once per resource')
  }
  if (target.state !== 'active') throw new Rejection('resource_inactive', 'this resource is not active')
  return target
}
