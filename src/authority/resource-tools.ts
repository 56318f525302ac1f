/** Tools and limits of one resource as JSON, in and out: the part that details on the wire and the store's records share. */
import { TOOLS_PER_RESOURCE_MAX } from '../kernel/limits.ts'
import type { ResourceAuthority, ToolConstraints, ToolLimits } from './authority.ts'
import { encodeToolConstraints, parseToolConstraints } from './constraints.ts'
import { type JsonObject, malformed, own, parseClosedObject, parseInteger, parseObject } from './strict-object.ts'

/** What is said of a resource without its scopes: the resource's manifest gives those. */
export type ToolsWithLimits = Pick<ResourceAuthority, 'tools' | 'limits'>

const TOOL_NAME = /^[A-Za-z0-9_.-]{1,128}$/

export function parseTools(value: unknown, path: string): ReadonlyMap<string, ToolConstraints> {
  const entries = Object.entries(parseObject(value, path))
  if (entries.length > TOOLS_PER_RESOURCE_MAX) throw malformed(path, `exceeds ${TOOLS_PER_RESOURCE_MAX} tools`)
  const tools = new Map<string, ToolConstraints>()
  for (const [name, constraints] of entries) {
    if (!TOOL_NAME.test(name)) throw malformed(path, 'has a tool name outside [A-Za-z0-9_.-]{1,128}')
    tools.set(name, parseToolConstraints(constraints, `${path}.${name}`))
  }
  return tools
}

/** Absent: not limited. */
export function parseLimits(value: unknown, path: string): ToolLimits {
  if (value === undefined) return {}
  const object = parseClosedObject(value, path, ['maxCalls'])
  if (!Object.hasOwn(object, 'maxCalls')) return {}
  return { maxCalls: parseInteger(own(object, 'maxCalls'), `${path}.maxCalls`, 1) }
}

export function encodeTools(tools: ReadonlyMap<string, ToolConstraints>): JsonObject {
  return Object.fromEntries([...tools].map(([name, constraints]) => [name, encodeToolConstraints(constraints)]))
}

/** Absent where nothing is limited. */
export function encodeLimits(limits: ToolLimits): { readonly limits?: JsonObject } {
  return limits.maxCalls === undefined ? {} : { limits: { maxCalls: limits.maxCalls } }
}
