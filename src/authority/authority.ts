/**
 * Authority: what a node of a session's tree, or a token, may do: scopes × resources × tools × constraints × end of life.
 *
 * Maps, not plain objects: tool and argument names come from outside, and `__proto__` is a legal tool name.
 * An absent entry is nothing granted; there is no spelling for "everything".
 */
import type { ResourceUrl } from '../kernel/ids.ts'
import type { ScopeSet } from '../protocol/scope.ts'

export type Scalar = string | number | boolean

/** One argument's constraint: JSON Schema spelling, closed vocabulary. No member = any value, argument optional. */
export interface ArgumentConstraint {
  readonly const?: Scalar
  readonly enum?: readonly Scalar[]
  readonly minimum?: number
  readonly maximum?: number
  readonly maxLength?: number
  readonly prefix?: string
  readonly maxItems?: number
}

/** Re-opens an argument set that a constraint has closed: arguments not listed are then free. */
export const ANY_OTHER_ARGUMENT = '*'

/**
 * A tool's arguments. Empty: the tool is unconstrained. Otherwise only the arguments listed may be given, those with a
 * constraint must be given, and `*` (with an empty constraint) admits others.
 */
export type ToolConstraints = ReadonlyMap<string, ArgumentConstraint>

/** Counted limits beside `tools`; absent = not limited. They narrow like constraints. */
export interface ToolLimits {
  readonly maxCalls?: number
}

export interface ResourceAuthority {
  readonly scopes: ScopeSet
  readonly tools: ReadonlyMap<string, ToolConstraints>
  readonly limits: ToolLimits
}

export interface Authority {
  readonly resources: ReadonlyMap<ResourceUrl, ResourceAuthority>
  /** Epoch seconds after which nothing below this authority lives. */
  readonly notAfter: number
  /** Further hops the holder may delegate. */
  readonly maxDepth: number
}
