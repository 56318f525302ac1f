/**
 * What an evaluation is about: one tool of one server of the caller's own, where in it, and with which arguments. Whatever is
 * not the caller's own does not exist for it: no answer tells another's from one that nobody has.
 */
import { isJsonObject } from '../jose/strict-json.ts'
import type { ClientId } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Registry } from '../model/registry.ts'
import type { Resource } from '../model/resource.ts'
import type { AskedAction, Entity } from './authzen-request.ts'

export type Arguments = Readonly<Record<string, unknown>>

export interface Matter {
  readonly resource: Resource
  readonly tool: string
  /** Id of the container that the call is about; `undefined`: that is not said. */
  readonly container: string | undefined
  /** `undefined`: nobody has said what they are. */
  readonly arguments: Arguments | undefined
}

/** As the COAZ binding for MCP names them (draft 1, Default Mappings). */
export const TOOL = 'tool'
export const TOOLS_CALL = 'tools/call'
export const MCP_SERVER = 'mcp_server'

export function ownResources(registry: Registry, client: ClientId): readonly Resource[] {
  return registry.resources.filter(({ serverClient }) => serverClient === client)
}

/**
 * `undefined`: nothing of that kind is there.
 * @param own servers that may be meant
 * @throws Rejection `parameter_malformed`
 */
export function matterOf(
  { action, resource, context }: { action: AskedAction; resource: Entity; context: Readonly<Record<string, unknown>> },
  own: readonly Resource[],
): Matter | undefined {
  const among = serversMeant(context, own)
  const { type, id = '' } = resource
  if (type === TOOL) {
    const [server, ...others] = among.length > 1 ? among.filter(({ tools }) => tools.has(id)) : among
    if (action.name !== TOOLS_CALL || server === undefined || others.length > 0) return undefined
    return { resource: server, tool: id, container: undefined, arguments: argumentsIn(context) }
  }
  if (type === MCP_SERVER) {
    const server = among.find((one) => one.id === id || one.url === id)
    return server && { resource: server, tool: action.name, container: undefined, arguments: argumentsIn(context) }
  }
  const [server, ...others] = among.filter(({ containers }) => containers.get(id)?.type === type)
  if (server === undefined || others.length > 0) return undefined
  return { resource: server, tool: action.name, container: id, arguments: propertiesOf(server, action, resource) }
}

/** Every thing of this type that the caller's servers have, to be searched through: its id, and which server has it. */
export function candidatesOf(type: string, own: readonly Resource[]): readonly { id: string; server: Resource }[] {
  if (type === MCP_SERVER) return own.map((server) => ({ id: server.url, server }))
  if (type === TOOL) return own.flatMap((server) => [...server.tools.keys()].map((id) => ({ id, server })))
  return own.flatMap((server) =>
    [...server.containers.values()].filter((one) => one.type === type).map(({ id }) => ({ id, server })),
  )
}

/** `context.server`, by its id or URL: whoever serves many says which. */
function serversMeant({ server }: Readonly<Record<string, unknown>>, own: readonly Resource[]): readonly Resource[] {
  if (server === undefined) return own
  return own.filter(({ id, url }) => id === server || url === server)
}

/** The `arguments` of the MCP request, as they came. @throws Rejection `parameter_malformed` */
function argumentsIn({ arguments: given }: Readonly<Record<string, unknown>>): Arguments | undefined {
  if (given === undefined || isJsonObject(given)) return given
  throw new Rejection('parameter_malformed', 'context.arguments must be an object')
}

/**
 * Who asks knows its own things best: what it says of one goes before what is registered. What is said of it and of the action
 * under one name must be one thing. @throws Rejection `parameter_malformed`
 */
function propertiesOf({ containers }: Resource, action: AskedAction, { id = '', properties }: Entity): Arguments {
  const registered = Object.fromEntries(containers.get(id)?.attributes ?? [])
  for (const name of Object.keys(action.properties)) {
    if (Object.hasOwn(properties, name) && properties[name] !== action.properties[name]) {
      throw new Rejection('parameter_malformed', 'the action and the resource have a property of the same name')
    }
  }
  return { ...registered, ...properties, ...action.properties }
}
