/** Single changes of a policy, or of what is asked of it: as data, made on a copy, and said to people. */
import type { Authority, ResourceAuthority, ToolConstraints } from '../authority/authority.ts'
import { encodeToolConstraints } from '../authority/constraints.ts'
import { unreachable } from '../kernel/rejection.ts'
import type { Agent } from '../model/client.ts'
import type { Question } from '../model/decision.ts'
import type { Grant, Registry } from '../model/registry.ts'
import type { Enforcement, Resource, Tool, ToolSelector } from '../model/resource.ts'
import type { AskedTool } from './layers.ts'

/** A tool, and the arguments that were asked for: no change gives more. */
export interface ChangedTool {
  readonly resource: Resource
  readonly tool: Tool
  readonly constraints: ToolConstraints
  /** Where in the resource; `undefined`: what was asked did not say. */
  readonly container: string | undefined
}

/** The tool as the question asks for it; `undefined`: the registry does not have it. */
export function changedTool(
  { asked }: Question,
  { url, name, resource, tool, place }: AskedTool,
): ChangedTool | undefined {
  if (resource === undefined || tool === undefined) return undefined
  const constraints = asked.resources.get(url)?.tools.get(name) ?? new Map()
  return { resource, tool, constraints, container: place?.id }
}

export type Change =
  | { readonly kind: 'activate_agent'; readonly agent: string }
  | { readonly kind: 'activate_user'; readonly user: string }
  | { readonly kind: 'activate_resource'; readonly resource: string }
  | { readonly kind: 'add_to_manifest'; readonly agent: string; readonly tools: readonly ChangedTool[] }
  /** `user`: `<issuer slug>:<sub>`. */
  | { readonly kind: 'grant'; readonly user: string; readonly tools: readonly ChangedTool[] }
  | { readonly kind: 'lift_deny'; readonly grant: string }
  | { readonly kind: 'raise_enforces'; readonly resource: string; readonly to: Enforcement }
  /** Of the request, not of the policy. */
  | { readonly kind: 'ask_without'; readonly tools: readonly ChangedTool[] }
  | { readonly kind: 'ask_for_scope'; readonly tools: readonly ChangedTool[] }
  | { readonly kind: 'ask_without_limits'; readonly resource: string }
  | { readonly kind: 'widen_parent' | 'widen_session'; readonly tools: readonly ChangedTool[] }

/** A policy and what it is asked. */
export interface Case {
  readonly registry: Registry
  readonly question: Question
}

export function withChange(given: Case, change: Change): Case {
  const { registry, question } = given
  switch (change.kind) {
    case 'activate_agent':
      return { registry, question: withAgent(question, change.agent, (agent) => ({ ...agent, state: 'active' })) }
    case 'activate_user':
      return { registry, question: { ...question, user: question.user && { ...question.user, active: true } } }
    case 'activate_resource':
      return { registry: withResource(registry, change.resource, { state: 'active' }), question }
    case 'raise_enforces':
      return { registry: withResource(registry, change.resource, { enforces: change.to }), question }
    case 'add_to_manifest': {
      const entries = change.tools.map((changed) => ({
        selector: selectorOf(changed),
        constraints: changed.constraints,
      }))
      const widened = (agent: Agent) => ({ ...agent, manifest: [...agent.manifest, ...entries] })
      return { registry, question: withAgent(question, change.agent, widened) }
    }
    case 'grant':
      return { registry: { ...registry, grants: [...registry.grants, ...grantsOf(change)] }, question }
    case 'lift_deny':
      return { registry: { ...registry, grants: registry.grants.filter(({ id }) => id !== change.grant) }, question }
    case 'ask_without':
      return { registry, question: { ...question, asked: change.tools.reduce(without, question.asked) } }
    case 'ask_for_scope':
      return { registry, question: { ...question, asked: change.tools.reduce(withScope, question.asked) } }
    case 'ask_without_limits':
      return { registry, question: unlimited(given, change.resource) }
    case 'widen_parent':
      return { registry, question: { ...question, parent: question.parent && widened(question.parent, change.tools) } }
    case 'widen_session':
      return {
        registry,
        question: { ...question, ceiling: question.ceiling && widened(question.ceiling, change.tools) },
      }
    default:
      return unreachable(change)
  }
}

/** One for each tool: arguments are a grant's own. */
export function grantsOf({ user, tools }: Extract<Change, { kind: 'grant' }>, named = 'proposed'): readonly Grant[] {
  return tools.map((changed, index) => ({
    id: tools.length === 1 ? named : `${named}-${index + 1}`,
    at: named,
    effect: 'allow',
    principals: [{ user }],
    resources: [selectorOf(changed)],
    when: {},
    constraints: changed.constraints,
    reason: '',
  }))
}

/** This tool of this server, and there only where the request was about one container. */
function selectorOf({ resource, tool, container }: ChangedTool): ToolSelector {
  return { server: resource.id, tool: tool.name, ...(container === undefined ? {} : { container }) }
}

function withAgent(question: Question, name: string, changed: (agent: Agent) => Agent): Question {
  const change = (agent: Agent) => (agent.clientId === name ? changed(agent) : agent)
  return { ...question, agent: change(question.agent), chain: question.chain.map(change) }
}

function withResource(registry: Registry, id: string, members: Partial<Resource>): Registry {
  const change = (resource: Resource | undefined) => (resource?.id === id ? { ...resource, ...members } : resource)
  return { ...registry, resource: (url) => change(registry.resource(url)) }
}

function withTools(
  authority: Authority,
  { url }: Resource,
  changed: (there: ResourceAuthority) => ResourceAuthority,
): Authority {
  const there = authority.resources.get(url) ?? { scopes: [], tools: new Map(), limits: {} }
  return { ...authority, resources: new Map([...authority.resources, [url, changed(there)]]) }
}

function without(authority: Authority, { resource, tool }: ChangedTool): Authority {
  const left = withTools(authority, resource, (there) => {
    return { ...there, tools: new Map([...there.tools].filter(([name]) => name !== tool.name)) }
  })
  const resources = [...left.resources].filter(([, { tools }]) => tools.size > 0)
  return { ...left, resources: new Map(resources) }
}

function withScope(authority: Authority, { resource, tool }: ChangedTool): Authority {
  return withTools(authority, resource, (there) => ({ ...there, scopes: [...there.scopes, tool.scope] }))
}

function widened(authority: Authority, tools: readonly ChangedTool[]): Authority {
  return tools.reduce((wider, changed) => {
    const { resource, tool, constraints } = changed
    const added = withTools(wider, resource, (there) => {
      return { ...there, tools: new Map([...there.tools, [tool.name, constraints]]) }
    })
    return withScope(added, changed)
  }, authority)
}

function unlimited({ registry, question }: Case, id: string): Question {
  const resource = registry.resources.find((one) => one.id === id)
  const lifted = (authority: Authority): Authority => {
    if (resource === undefined || !authority.resources.has(resource.url)) return authority
    return withTools(authority, resource, (there) => ({ ...there, limits: {} }))
  }
  const { asked, parent, ceiling } = question
  return { ...question, asked: lifted(asked), parent: parent && lifted(parent), ceiling: ceiling && lifted(ceiling) }
}

/** As JSON says it. */
export function describeChange(change: Change): Readonly<Record<string, unknown>> {
  if (!('tools' in change)) return { ...change, says: sayChange(change) }
  const tools = change.tools.map((changed) => ({
    ...selectorOf(changed),
    ...(changed.constraints.size === 0 ? {} : { constraints: encodeToolConstraints(changed.constraints) }),
  }))
  return { ...change, tools, says: sayChange(change) }
}

export function sayChange(change: Change): string {
  switch (change.kind) {
    case 'activate_agent':
      return `make agent ${change.agent} active`
    case 'activate_user':
      return `make ${change.user} active`
    case 'activate_resource':
      return `make resource ${change.resource} active`
    case 'add_to_manifest':
      return `add ${sayTools(change.tools)} to the manifest of agent ${change.agent}`
    case 'grant':
      return `grant user ${change.user} ${sayTools(change.tools)}`
    case 'lift_deny':
      return `take back the deny grant ${change.grant}`
    case 'raise_enforces':
      return `let resource ${change.resource} enforce ${change.to}, once its server does`
    case 'ask_without':
      return `ask without ${sayTools(change.tools)}`
    case 'ask_for_scope':
      return `ask for the scope of ${sayTools(change.tools)}, too`
    case 'ask_without_limits':
      return `ask without a limit of calls at ${change.resource}`
    case 'widen_parent':
      return `let the agent above pass on ${sayTools(change.tools)}`
    case 'widen_session':
      return `open a session whose intent names ${sayTools(change.tools)}`
    default:
      return unreachable(change)
  }
}

function sayTools(tools: readonly ChangedTool[]): string {
  const byServer = Map.groupBy(tools, ({ resource }) => resource.id)
  const said = [...byServer].map(([server, there]) => {
    const names = there.map(({ tool, constraints, container }) => {
      const where = container === undefined ? '' : ` in ${container}`
      return `\`${tool.name}\`${constraints.size === 0 ? '' : ' (as asked)'}${where}`
    })
    return `${names.join(', ')} at ${server}`
  })
  return said.join(' and ')
}
