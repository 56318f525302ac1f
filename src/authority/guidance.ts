/**
 * What a refused call is told beside its reason, so that an agent can narrow it by itself: what was declared, what was asked,
 * and what would be allowed. Deterministic, and the same from a broker and from a verifier.
 *
 * Guarantees: of what the caller gave, the names and never a value; of what was declared, what its own token says anyway.
 */
import { ARGUMENTS_PER_TOOL_MAX } from '../kernel/limits.ts'
import type { ToolConstraints } from './authority.ts'
import { encodeToolConstraints, failingArguments } from './constraints.ts'
import { encodeTools } from './resource-tools.ts'
import { plainName } from './strict-object.ts'

type Arguments = Readonly<Record<string, unknown>>

export interface Guidance {
  /** `purpose`: of the hop that holds the token, where it is known. `tools`: as in `mcp_tools`, at the server asked about. */
  readonly declared: { readonly purpose?: string; readonly tools: Readonly<Record<string, unknown>> }
  /** `arguments`: their names; absent: nobody has said what they are. */
  readonly asked: { readonly tool: string; readonly arguments?: readonly string[] }
  /** The same tool with other arguments: `arguments` names those to change, add or leave out. Absent: no change of them helps. */
  readonly narrow_to?: {
    readonly tool: string
    readonly constraints: Readonly<Record<string, unknown>>
    readonly arguments: readonly string[]
  }
}

export interface GuidedCall {
  readonly tool: string
  /** `undefined`: nobody has said what they are. */
  readonly arguments: Arguments | undefined
}

/**
 * @param declared what the token allows at this server
 * @param allowed what would be allowed of the tool now; `undefined`: nothing
 */
export function guidance(
  { tool, arguments: given }: GuidedCall,
  declared: { readonly purpose: string | undefined; readonly tools: ReadonlyMap<string, ToolConstraints> },
  allowed: ToolConstraints | undefined,
): Guidance {
  const name = plainName(tool)
  return {
    declared: {
      ...(declared.purpose === undefined ? {} : { purpose: declared.purpose }),
      tools: encodeTools(declared.tools),
    },
    asked: { tool: name, ...(given === undefined ? {} : { arguments: named(Object.keys(given)) }) },
    ...narrowing(name, given ?? {}, allowed),
  }
}

function narrowing(tool: string, given: Arguments, allowed: ToolConstraints | undefined): Pick<Guidance, 'narrow_to'> {
  const failing = allowed === undefined ? [] : failingArguments(allowed, given)
  if (allowed === undefined || failing.length === 0) return {}
  return { narrow_to: { tool, constraints: encodeToolConstraints(allowed), arguments: named(failing) } }
}

function named(names: readonly string[]): readonly string[] {
  return names.slice(0, ARGUMENTS_PER_TOOL_MAX).map(plainName)
}
