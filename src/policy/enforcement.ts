/**
 * What the other end enforces (DESIGN §3): a token must not say more than its server checks, or the rest of the sentence is
 * decoration. A server that looks at scopes only would let a token for `query` call everything else its scope opens.
 */
import type { ToolConstraints, ToolLimits } from '../authority/authority.ts'
import { isUnconstrained } from '../authority/constraints.ts'
import { unreachable } from '../kernel/rejection.ts'
import type { Resource, Tool } from '../model/resource.ts'

/**
 * The tools that the resource cannot hold its callers to, each with the cause.
 *
 * With `tools`, a constrained tool is lost alone: were its neighbours lost with it, then denying that tool elsewhere would
 * give them back, and a deny must never add.
 *
 * @param tools what every other layer leaves at the resource
 */
export function unenforceable(
  resource: Resource,
  tools: ReadonlyMap<string, ToolConstraints>,
  limits: ToolLimits,
): ReadonlyMap<string, string> {
  const lost = new Map<string, string>()
  for (const [name, constraints] of tools) {
    const cause = causeOfCalls(resource, name, limits) ?? causeAt(resource, name, constraints, tools)
    if (cause !== undefined) lost.set(name, cause)
  }
  return lost
}

/** What is said of each call, a server that does not ask before each one has never heard of. */
function causeOfCalls(resource: Resource, name: string, limits: ToolLimits): string | undefined {
  if (resource.enforces === 'calls') return undefined
  if (limits.maxCalls !== undefined) return 'the server does not ask before each call, so nobody would count them'
  return needsApproval(resource.tools.get(name))
    ? 'each call needs an approval, and the server does not ask before each call'
    : undefined
}

const needsApproval = (tool: Tool | undefined) => tool?.approval === 'required'

function causeAt(
  resource: Resource,
  name: string,
  constraints: ToolConstraints,
  tools: ReadonlyMap<string, ToolConstraints>,
): string | undefined {
  switch (resource.enforces) {
    case 'calls':
    case 'arguments':
      return undefined
    case 'tools':
      return isUnconstrained(constraints) ? undefined : 'the server checks tools only, not their arguments'
    case 'scope': {
      const scope = resource.tools.get(name)?.scope
      const open = [...resource.tools.values()].find((tool) => tool.scope === scope && !isWhole(tool, tools))
      return open === undefined ? undefined : causeOfScope(open, tools)
    }
    default:
      return unreachable(resource.enforces)
  }
}

function isWhole(tool: Tool, tools: ReadonlyMap<string, ToolConstraints>): boolean {
  const constraints = tools.get(tool.name)
  return constraints !== undefined && isUnconstrained(constraints) && !needsApproval(tool)
}

function causeOfScope({ name, scope }: Tool, tools: ReadonlyMap<string, ToolConstraints>): string {
  const what = tools.has(name) ? `every use of ${name}` : name
  return `the server checks scopes only, and ${scope} would also open ${what}`
}
