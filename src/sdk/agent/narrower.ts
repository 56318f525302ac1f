/**
 * What is to be passed on, checked before anybody is asked: the same engine as the broker's (`authority/narrowing.ts`), and the
 * same words.
 *
 * Does not check: that it is strictly less. The delegate's own policy may take something away, and only the broker knows that.
 */
import type { Authority, ResourceAuthority, ToolConstraints } from '../../authority/authority.ts'
import { parseToolConstraints } from '../../authority/constraints.ts'
import { encodeResourceDetails } from '../../authority/details.ts'
import { widening } from '../../authority/narrowing.ts'
import type { ToolsWithLimits } from '../../authority/resource-tools.ts'
import type { ResourceUrl } from '../../kernel/ids.ts'
import { Rejection, type RejectionReason } from '../../kernel/rejection.ts'
import { DETAILS_TYPE } from '../../protocol/oauth.ts'
import { Refused } from './agent-errors.ts'
import type { ToolArguments } from './intent.ts'

/** By resource, as the broker granted them. */
export type Held = ReadonlyMap<string, ToolsWithLimits>

export interface PassedOn {
  readonly purpose: string
  /** Names; each at every resource that is held and has it, or of `resources` alone. */
  readonly tools: readonly string[]
  readonly resources: readonly string[] | undefined
  /** By tool: in place of what is held of the same arguments. */
  readonly constraints: Readonly<Record<string, ToolArguments | undefined>>
  readonly maxCalls: number | undefined
  readonly expiresIn: number | undefined
  readonly maxDepth: number | undefined
}

/** @throws Refused `details_widening`, `details_empty`, `details_malformed`, `details_unknown` */
export function delegationDetails(asked: PassedOn, held: Held): string {
  const child = childOf(asked, held)
  const widened = widening(authorityOf(child), authorityOf(held))
  if (widened !== undefined) {
    throw refusal('details_widening', 'authorization_details asks for more than is held', [widened])
  }
  const { purpose, expiresIn, maxDepth } = asked
  const intent = {
    type: DETAILS_TYPE.intent,
    purpose,
    ...(expiresIn === undefined ? {} : { expires_in: expiresIn }),
    ...(maxDepth === undefined ? {} : { max_depth: maxDepth }),
  }
  const resources = [...child].map(([url, { tools, limits }]) =>
    encodeResourceDetails(url, { scopes: [], tools, limits }),
  )
  return JSON.stringify([intent, ...resources])
}

function childOf(asked: PassedOn, held: Held): Held {
  const child = new Map<string, ToolsWithLimits>()
  const missing = new Set(asked.tools)
  for (const [url, { tools, limits }] of held) {
    if (asked.resources !== undefined && !asked.resources.includes(url)) continue
    const kept = new Map<string, ToolConstraints>()
    for (const [name, bound] of tools) {
      if (!asked.tools.includes(name)) continue
      missing.delete(name)
      kept.set(name, tightened(bound, asked.constraints[name], name))
    }
    const counted = asked.maxCalls === undefined ? limits : { maxCalls: asked.maxCalls }
    if (kept.size > 0) child.set(url, { tools: kept, limits: counted })
  }
  const [absent] = missing
  if (absent !== undefined) {
    throw refusal('details_widening', 'authorization_details asks for more than is held', [
      `tool ${absent} is not in the parent`,
    ])
  }
  if (child.size === 0)
    throw refusal('details_empty', 'authorization_details names no tools: add an mcp_tools object', [])
  return child
}

/** What is held stays, but for the arguments that are said anew. */
function tightened(held: ToolConstraints, said: ToolArguments | undefined, tool: string): ToolConstraints {
  if (said === undefined) return held
  try {
    return new Map([...held, ...parseToolConstraints(said, `constraints.${tool}`)])
  } catch (error) {
    if (error instanceof Rejection) throw refusal(error.reason, error.message, error.missing)
    throw error
  }
}

/** Scopes are the broker's to give: they follow from the tools. */
function authorityOf(held: Held): Authority {
  const resources = new Map<ResourceUrl, ResourceAuthority>()
  for (const [url, { tools, limits }] of held) resources.set(url as ResourceUrl, { scopes: [], tools, limits })
  return { resources, notAfter: 0, maxDepth: 0 }
}

function refusal(reason: RejectionReason, description: string, missing: readonly string[]): Refused {
  const error = 'invalid_authorization_details'
  return new Refused({ error, reason, description, missing, decisionId: undefined, status: 400 })
}
