/**
 * DESIGN §6 once more, read off the page and slow: on the written document, without index, meet or layers. It decides calls,
 * not constraints: a tool is granted if some call of it passes every rule, and a call passes if no rule refuses it.
 */
import { argumentsRefusal, parseToolConstraints } from '../../src/authority/constraints.ts'
import { NOW, type Raw, type Wanted } from '../unit/policy/world.ts'
import { type Asking, CALLS } from './policy-arbitraries.ts'

export interface SpecAnswer {
  readonly allowed: boolean
  /** Calls granted, by URL and tool, as indices into `CALLS`. */
  readonly calls: Readonly<Record<string, Readonly<Record<string, readonly number[]>>>>
  readonly notAfter: number
}

/** One tool as it is asked for. `place`: its container, with those above it; `undefined`: not known. */
interface Use {
  readonly document: Raw
  readonly asking: Asking
  readonly resource: Raw
  readonly name: string
  readonly tool: Raw
  readonly place: readonly string[] | undefined
}
/** What a sentence of the page says of a tool: `no`, or yes under the rules that narrow it. */
type Says = 'no' | readonly Raw[]
type Granted = Map<Raw, Map<string, readonly number[]>>

/** "Allowed only if *all* agree", one line each, in the page's words. What the resource can enforce: `loseUnenforceable`. */
const PAGE: readonly ((use: Use) => Says)[] = [
  // resource registered and active
  ({ resource, asking }) => unless(!inService(resource.state, asking)),
  // tool known and delegable to agents
  ({ tool }) => unless(!(tool.delegable ?? (tool.category === 'read' || tool.category === 'write'))),
  // the container that the question names is one of the resource
  ({ asking, place }) => unless(asking.container !== undefined && place === undefined),
  // agent active, in this environment, its manifest contains it: of every agent of the chain
  (use) =>
    agents(use)
      .flatMap((agent) => manifestOf(agent, use))
      .reduce<Says>(all, []),
  // user (if any) active and allowed by a grant; personal-mode servers need a user subject
  (use) => {
    if (use.asking.user === undefined) return unless(use.resource.mode === 'personal')
    const grants = allows(use, userNames(use))
    const { active } = use.document.users.find((user: Raw) => user.sub === use.asking.user)
    return active === false || grants.length === 0 ? 'no' : constraintsOf(grants)
  },
  // no grant on the agent narrows it away
  (use) => constraintsOf(allows(use, agentNames(use))),
  // parent authority
  (use) => within(use.asking.parent, use),
  // session intent
  (use) => within(use.asking.ceiling, use),
  // external PDP if configured
  ({ asking: { external }, resource, name }) =>
    unless(external !== 'none' && (external === 'failed' || !external.includes(`${resource.url} ${name}`))),
  // no deny grant matches; one whose condition cannot be evaluated matches
  (use) => unless(use.document.grants.some((grant: Raw) => grant.effect === 'deny' && denies(grant, use, NOW))),
]

export function specAnswer(document: Raw, asking: Asking): SpecAnswer {
  const granted: Granted = new Map()
  const ends = [asking.notAfter]
  for (const resource of document.resources) {
    for (const name of Object.keys(asking.wanted[resource.url] ?? {})) {
      const calls = callsOf(useOf(document, asking, resource, name))
      // Only the call without arguments: authority has no spelling for it.
      if (!calls.some((index) => Object.keys(CALLS[index] ?? {}).length > 0)) continue
      granted.set(resource, (granted.get(resource) ?? new Map()).set(name, calls))
    }
  }
  const lost = loseUnenforceable(granted)
  const calls: Record<string, Record<string, readonly number[]>> = {}
  for (const [resource, tools] of granted) {
    for (const [name, indices] of tools) {
      calls[resource.url] = { ...calls[resource.url], [name]: indices }
      const use = useOf(document, asking, resource, name)
      // What a grant with an end allowed must not outlive the grant.
      for (const { when } of allows(use, userNames(use))) if (when.not_after) ends.push(seconds(when.not_after))
      // A token for this server must be gone when a deny against it begins.
      if (resource.url === asking.target) ends.push(...denialsAhead(use))
    }
  }
  const notAfter = Math.min(...ends)
  const left = asking.target === undefined ? Object.keys(calls).length > 0 : calls[asking.target] !== undefined
  return { allowed: left && notAfter > NOW && !(asking.askedExplicitly && lost), calls, notAfter }
}

function callsOf(use: Use): readonly number[] {
  const said = PAGE.map((sentence) => sentence(use)).reduce<Says>(all, [
    use.asking.wanted[use.resource.url]?.[use.name],
  ])
  if (said === 'no') return []
  const rules = said.map((rule) => parseToolConstraints(rule ?? {}, 'rule'))
  return CALLS.flatMap((call, index) =>
    rules.every((rule) => argumentsRefusal(rule, call) === undefined) ? [index] : [],
  )
}

function unless(refused: boolean): Says {
  return refused ? 'no' : []
}

function all(before: Says, says: Says | Raw): Says {
  return before === 'no' || says === 'no' ? 'no' : [...before, ...(Array.isArray(says) ? says : [says])]
}

/** What is in testing is issued to where it does not count. */
function inService(state: string, { environment }: Asking): boolean {
  return state === 'active' || (state === 'testing' && environment !== 'production')
}

function manifestOf(agent: Raw, use: Use): readonly Raw[] {
  const { environment } = use.asking
  if (!inService(agent.state, use.asking) || agent.environment !== environment) return ['no']
  const entries = agent.manifest.filter((entry: Raw) => selected(entry, use) === 'yes')
  return entries.length === 0 ? ['no'] : constraintsOf(entries)
}

function constraintsOf(rules: readonly Raw[]): readonly Raw[] {
  return rules.map(({ constraints }) => constraints ?? {})
}

function within(bound: Wanted | undefined, { resource, name }: Use): Says {
  if (bound === undefined) return []
  const there = bound[resource.url]?.[name]
  return there === undefined ? 'no' : [there]
}

/** Takes away what servers cannot hold callers to; whether anything was. */
function loseUnenforceable(granted: Granted): boolean {
  let lost = false
  for (const [resource, tools] of granted) {
    const isApproved = (name: string) => resource.tools[name].approval === 'required'
    const whole = (name: string) => tools.get(name)?.length === CALLS.length && !isApproved(name)
    const kept = [...tools].filter(([name]) => {
      if (resource.enforces === 'calls') return true
      if (isApproved(name)) return false
      if (resource.enforces === 'arguments') return true
      if (resource.enforces === 'tools') return whole(name)
      const others = Object.keys(resource.tools).filter((other) => scopeOf(resource, other) === scopeOf(resource, name))
      return others.every(whole)
    })
    lost ||= kept.length < tools.size
    if (kept.length === 0) granted.delete(resource)
    else granted.set(resource, new Map(kept))
  }
  return lost
}

function scopeOf(resource: Raw, name: string): string {
  const tool = resource.tools[name]
  return tool.scope ?? `mcp:tools:${tool.category ?? 'admin'}`
}

function allows(use: Use, names: readonly string[]): Raw[] {
  return use.document.grants.filter(
    (grant: Raw) =>
      grant.effect === 'allow' && concerns(grant, names) && inForce(grant, use, NOW) && reach(grant, use) === 'yes',
  )
}

function denies(grant: Raw, use: Use, at: number): boolean {
  const names = [...userNames(use), ...agentNames(use)]
  return concerns(grant, names) && inForce(grant, use, at) && reach(grant, use) !== 'no'
}

function denialsAhead(use: Use): number[] {
  return use.document.grants.flatMap((grant: Raw) => {
    const begins = grant.when.not_before === undefined ? 0 : seconds(grant.when.not_before)
    return grant.effect === 'deny' && begins > NOW && denies(grant, use, begins) ? [begins] : []
  })
}

function concerns(grant: Raw, names: readonly string[]): boolean {
  return grant.principals.some((principal: Raw) => names.includes(Object.entries(principal).join()))
}

function inForce({ when }: Raw, { asking }: Use, at: number): boolean {
  const { not_before: notBefore, not_after: notAfter, environment, risk } = when
  return (
    !(notBefore !== undefined && seconds(notBefore) > at) &&
    !(notAfter !== undefined && seconds(notAfter) <= at) &&
    !(environment !== undefined && environment !== asking.environment) &&
    (risk === undefined || isRisk(risk, asking.risk))
  )
}

/** "An allow for at most, a deny for at least; what is not known helps nobody." */
function isRisk(said: Raw, risk: Asking['risk']): boolean {
  const order = ['low', 'medium', 'high']
  if (said.at_least !== undefined) return risk === undefined || order.indexOf(risk) >= order.indexOf(said.at_least)
  return risk !== undefined && order.indexOf(risk) <= order.indexOf(said.at_most)
}

type Answer = 'yes' | 'no' | 'unknown'

function reach(grant: Raw, use: Use): Answer {
  const answers: Answer[] = grant.resources.map((selector: Raw) => selected(selector, use))
  return answers.find((answer) => answer === 'yes') ?? answers.find((answer) => answer === 'unknown') ?? 'no'
}

/** "A role on a node reaches down, never up or sideways." */
function selected(selector: Raw, { document, resource, name, tool, place }: Use): Answer {
  const is: Raw = {
    server: [resource.id],
    project: upFrom(resource.project ?? 'default', document.projects ?? []),
    tool: [name],
    category: [tool.category ?? 'admin'],
  }
  const names = ['server', 'project', 'tool', 'category'].every(
    (member) => [undefined, '*'].includes(selector[member]) || is[member].includes(selector[member]),
  )
  if (!names) return 'no'
  if (selector.container === undefined) return 'yes'
  if (place === undefined) return 'unknown'
  return place.includes(selector.container) ? 'yes' : 'no'
}

/** The node and every one above it. */
function upFrom(id: string, nodes: readonly Raw[]): readonly string[] {
  const parent = nodes.find((node) => node.id === id)?.parent
  return parent === undefined ? [id] : [id, ...upFrom(parent, nodes)]
}

function useOf(document: Raw, asking: Asking, resource: Raw, name: string): Use {
  const tool = resource.tools[name]
  const containers: readonly Raw[] = resource.containers ?? []
  const wanted = parseToolConstraints(asking.wanted[resource.url]?.[name], 'asked')
  const calls = CALLS.filter((call) => argumentsRefusal(wanted, call) === undefined)
  // Pinned: whatever is called, its argument names one and the same container.
  const named = tool.container_argument === undefined ? [] : calls.map((call) => call[tool.container_argument])
  const pinned = new Set(named).size === 1 ? named[0] : undefined
  const id =
    asking.container === undefined || (pinned ?? asking.container) === asking.container
      ? (asking.container ?? pinned)
      : undefined
  const known = containers.some((container) => container.id === id)
  return { document, asking, resource, name, tool, place: known ? upFrom(String(id), containers) : undefined }
}

function seconds(time: string): number {
  return Date.parse(time) / 1000
}

function userNames({ document, asking }: Use): readonly string[] {
  if (asking.user === undefined) return []
  const user = document.users.find((entry: Raw) => entry.sub === asking.user)
  const groups = (user.groups ?? []).map((group: string) => `group,${group}`)
  const roles = (user.roles ?? []).map((role: string) => `role,${role}`)
  return [`user,corp:${asking.user}`, ...groups, ...roles]
}

/** The orchestrator asks; the planner may be in its chain. */
function agents({ document, asking }: Use): readonly Raw[] {
  return document.agents.slice(0, asking.planner ? 2 : 1)
}

function agentNames(use: Use): readonly string[] {
  return agents(use).flatMap(({ client_id: clientId, owner }) => [`agent,${clientId}`, `owner,${owner}`])
}
