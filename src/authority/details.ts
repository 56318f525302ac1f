/**
 * RFC 9396 `authorization_details` in and out: at most one `agent_intent`, and the tools asked for at each resource.
 *
 * Validates: types, closed member sets, bounds, one statement per resource (by canonical URL).
 * Does not validate: that resources and tools exist, or that anything may be granted; and not the length of the text, which
 * the caller bounds (`AUTHORIZATION_DETAILS_CHARS_MAX`) before it parses the JSON strictly.
 */
import {
  ACTOR_DEPTH_MAX,
  CONSTRAINT_STRING_CHARS_MAX,
  DETAILS_OBJECTS_MAX,
  ORIGIN_REF_CHARS_MAX,
  PURPOSE_CHARS_MAX,
  TARGETS_MAX,
} from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'
import { DETAILS_TYPE } from '../protocol/oauth.ts'
import { canonicalResource } from '../protocol/resource.ts'
import type { ResourceAuthority } from './authority.ts'
import { encodeLimits, encodeTools, parseLimits, parseTools, type ToolsWithLimits } from './resource-tools.ts'
import { malformed, own, parseClosedObject, parseInteger, parseObject, parseProse, shown } from './strict-object.ts'

const ORIGIN_TYPES = ['user_request', 'agent_plan', 'schedule', 'upstream_agent'] as const

export interface ParsedIntentObject {
  readonly purpose: string
  readonly origin: { readonly type: (typeof ORIGIN_TYPES)[number]; readonly ref?: string } | undefined
  /** Seconds. */
  readonly expiresIn: number | undefined
  readonly maxDepth: number | undefined
}

export interface ParsedDetails {
  readonly intent: ParsedIntentObject | undefined
  /** By location as written. */
  readonly tools: ReadonlyMap<string, ToolsWithLimits>
}

/** @throws Rejection `details_malformed`, `details_unknown` or `details_empty`, naming the place. */
export function parseDetails(value: unknown): ParsedDetails {
  if (!Array.isArray(value)) throw malformed('authorization_details', 'must be an array (RFC 9396 section 2)')
  if (value.length === 0) throw empty('authorization_details', 'is an empty array')
  if (value.length > DETAILS_OBJECTS_MAX) {
    throw malformed('authorization_details', `exceeds ${DETAILS_OBJECTS_MAX} objects`)
  }
  let intent: ParsedIntentObject | undefined
  const tools = new Map<string, ToolsWithLimits>()
  const seen = new Set<string>()
  for (const [index, member] of value.entries()) {
    const path = `authorization_details[${index}]`
    const type = own(parseObject(member, path), 'type')
    if (typeof type !== 'string') throw malformed(`${path}.type`, 'must be a string (RFC 9396 section 2)')
    if (type === DETAILS_TYPE.intent) {
      if (intent !== undefined) throw malformed(path, 'is a second agent_intent')
      intent = parseIntentObject(member, path)
    } else if (type === DETAILS_TYPE.tools) {
      for (const [location, asked] of parseToolsObject(member, path, seen)) tools.set(location, asked)
    } else {
      throw new Rejection('details_unknown', `${path}.type ${shown(type)} is not supported`, {
        missing: [`${path}.type may be: ${Object.values(DETAILS_TYPE).join(', ')}`],
      })
    }
  }
  return { intent, tools }
}

/** Who asserted the origin is the broker's to write: `asserted_by` in a request is an unknown member. */
export function parseIntentObject(value: unknown, path: string): ParsedIntentObject {
  const object = parseClosedObject(value, path, ['type', 'purpose', 'origin', 'expires_in', 'max_depth'])
  const has = (member: string) => Object.hasOwn(object, member)
  return {
    purpose: parseProse(own(object, 'purpose'), `${path}.purpose`, PURPOSE_CHARS_MAX),
    origin: has('origin') ? parseOrigin(own(object, 'origin'), `${path}.origin`) : undefined,
    expiresIn: has('expires_in') ? parseInteger(own(object, 'expires_in'), `${path}.expires_in`, 1) : undefined,
    maxDepth: has('max_depth')
      ? parseInteger(own(object, 'max_depth'), `${path}.max_depth`, 0, ACTOR_DEPTH_MAX)
      : undefined,
  }
}

/** A name for what set the work off: it travels in tokens, so it has no room for a sentence, let alone a prompt. */
const REFERENCE = /^[A-Za-z0-9._:/#@+=-]+$/

function parseReference(value: unknown, path: string): string {
  const fits = typeof value === 'string' && value.length <= ORIGIN_REF_CHARS_MAX && REFERENCE.test(value)
  if (!fits)
    throw malformed(path, `must be an identifier of at most ${ORIGIN_REF_CHARS_MAX} characters, without spaces`)
  return value
}

function parseOrigin(value: unknown, path: string): ParsedIntentObject['origin'] {
  const origin = parseClosedObject(value, path, ['type', 'ref'])
  const type = ORIGIN_TYPES.find((name) => name === own(origin, 'type'))
  if (type === undefined) throw malformed(`${path}.type`, `must be one of ${ORIGIN_TYPES.join(', ')}`)
  if (!Object.hasOwn(origin, 'ref')) return { type }
  return { type, ref: parseReference(own(origin, 'ref'), `${path}.ref`) }
}

function parseToolsObject(value: unknown, path: string, seen: Set<string>): ReadonlyMap<string, ToolsWithLimits> {
  const object = parseClosedObject(value, path, ['type', 'locations', 'tools', 'limits'])
  const locations = own(object, 'locations')
  if (!Array.isArray(locations)) throw malformed(`${path}.locations`, 'must be an array of resource URLs')
  if (locations.length === 0) throw empty(`${path}.locations`, 'is empty')
  if (locations.length > TARGETS_MAX) throw malformed(`${path}.locations`, `exceeds ${TARGETS_MAX} resources`)
  const tools = parseTools(own(object, 'tools'), `${path}.tools`)
  if (tools.size === 0) throw empty(`${path}.tools`, 'is empty: name the tools')
  const limits = parseLimits(own(object, 'limits'), `${path}.limits`)
  const asked = new Map<string, ToolsWithLimits>()
  for (const [index, location] of locations.entries()) {
    const url = parseLocation(location, `${path}.locations[${index}]`, seen)
    asked.set(url, { tools, limits })
  }
  return asked
}

/** Two statements about one resource would have to be united or intersected: either surprises someone. */
function parseLocation(value: unknown, path: string, seen: Set<string>): string {
  if (typeof value !== 'string') throw malformed(path, 'must be a resource URL')
  if (value.length > CONSTRAINT_STRING_CHARS_MAX) {
    throw malformed(path, `exceeds ${CONSTRAINT_STRING_CHARS_MAX} characters`)
  }
  const canonical = canonicalLocation(value, path)
  if (seen.has(canonical)) throw malformed(path, 'names a resource that was named before')
  seen.add(canonical)
  return value
}

function canonicalLocation(value: string, path: string): string {
  try {
    return canonicalResource(value)
  } catch (cause) {
    if (cause instanceof Rejection) throw malformed(path, `is not a resource URL: ${cause.message}`)
    throw cause
  }
}

function empty(path: string, what: string): Rejection {
  return new Rejection('details_empty', `${path} ${what}`)
}

/** The `mcp_tools` object of a token for this resource, or of a response. */
export function encodeResourceDetails(url: string, authority: ResourceAuthority): Readonly<Record<string, unknown>> {
  return {
    type: DETAILS_TYPE.tools,
    locations: [url],
    tools: encodeTools(authority.tools),
    ...encodeLimits(authority.limits),
  }
}
