/** RFC 8693 §2.1 `resource` and `audience`, RFC 8707: which registered resources a request names. */
import type { ResourceUrl } from '../../kernel/ids.ts'
import { Rejection } from '../../kernel/rejection.ts'
import type { Agent } from '../../model/client.ts'
import type { Registry } from '../../model/registry.ts'
import type { Resource } from '../../model/resource.ts'
import { assertIssuedFor, type Here } from '../../policy/asked.ts'
import { TOKEN_TYPE } from '../../protocol/oauth.ts'
import type { Target } from '../flow.ts'
import type { ExchangeRequest, TokenRequest } from '../token-request.ts'

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
export function soleTarget(request: TokenRequest, { registry, environment }: Here): Resource {
  const [target, ...others] = namedResources(request, registry, true)
  if (target === undefined) {
    throw new Rejection('target_missing', 'an access token is for one MCP server: name it with resource (RFC 8707)')
  }
  if (others.length > 0) {
    throw new Rejection('target_ambiguous', 'an access token is for exactly one MCP server: ask once per resource')
  }
  if (target.authorizationServer !== undefined) {
    throw new Rejection(
      'resource_elsewhere',
      'this resource takes tokens of another authorization server: ask for an ID-JAG',
    )
  }
  assertIssuedFor(target, environment)
  return target
}

/** `undefined`: no single target is wanted. */
export function requestedTarget(request: ExchangeRequest, agent: Agent, here: Here): Target | undefined {
  if (request.requested === TOKEN_TYPE.accessToken) return { kind: 'access', resource: soleTarget(request, here) }
  return request.requested === TOKEN_TYPE.idJag ? idJagTarget(request, agent, here) : undefined
}

/**
 * The authorization server that `audience` names and the MCP server of its that `resource` does: a pair (MCP EMA §7.6.1).
 * @throws Rejection `target_missing`, `target_ambiguous`, `authorization_server_unknown`, `resource_elsewhere`
 */
function idJagTarget(request: ExchangeRequest, agent: Agent, { registry, environment }: Here): Target {
  const [audience, ...otherAudiences] = request.audiences
  const [resource, ...otherResources] = namedResources(request, registry, false)
  if (audience === undefined || resource === undefined) {
    throw new Rejection(
      'target_missing',
      'an ID-JAG is for one MCP server of one authorization server: name the latter with audience, the former with resource',
    )
  }
  if (otherAudiences.length + otherResources.length > 0) {
    throw new Rejection('target_ambiguous', 'an ID-JAG is for exactly one audience and one resource')
  }
  const server = registry.authorizationServer(audience)
  const clientId = server?.clientIds.get(agent.clientId)
  if (server === undefined || clientId === undefined) {
    throw new Rejection('authorization_server_unknown', 'this agent is known at no authorization server of that name')
  }
  if (resource.authorizationServer !== server.slug) {
    throw new Rejection('resource_elsewhere', 'the resource does not take tokens of that authorization server')
  }
  assertIssuedFor(resource, environment)
  return { kind: 'id_jag', resource, server, clientId }
}
