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

type Granted = Map<Raw, Map<string, readonly number[]>>

export function specAnswer(document: Raw, asking: Asking): SpecAnswer {
  const granted: Granted = new Map()
  const ends = [asking.notAfter]
  for (const resource of document.resources) {
    for (const name of Object.keys(asking.wanted[resource.url] ?? {})) {
      const calls = callsOf(document, asking, resource, name)
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
      for (const grant of allows(document, resource, name, userNames(document, asking))) {
        if (grant.when.not_after !== undefined) ends.push(Date.parse(grant.when.not_after) / 1000)
      }
      // A token for this server must be gone when a deny against it begins.
      if (resource.url === asking.target) ends.push(...denialsAhead(document, asking, resource, name))
    }
  }
  const notAfter = Math.min(...ends)
  const left = asking.target === undefined ? Object.keys(calls).length > 0 : calls[asking.target] !== undefined
  return {
    allowed: left && notAfter > NOW && !(asking.askedExplicitly && lost),
    calls,
    notAfter,
  }
}

function callsOf(document: Raw, asking: Asking, resource: Raw, name: string): readonly number[] {
  const tool = resource.tools[name]
  const agent = document.agents[0]
  const refused =
    resource.state !== 'active' ||
    !(tool.delegable ?? (tool.category === 'read' || tool.category === 'write')) ||
    agent.state !== 'active' ||
    agent.environment !== 'production'
  if (refused) return []
  const rules: Raw[] = [asking.wanted[resource.url]?.[name]]
  const entries = agent.manifest.filter((entry: Raw) => selected(entry, resource, name))
  if (entries.length === 0) return []
  rules.push(...entries.map((entry: Raw) => entry.constraints))
  if (asking.user !== undefined) {
    if (document.users.find((user: Raw) => user.sub === asking.user).active === false) return []
    const grants = allows(document, resource, name, userNames(document, asking))
    if (grants.length === 0) return []
    rules.push(...grants.map((grant) => grant.constraints))
  } else if (resource.mode === 'personal') return []
  rules.push(...allows(document, resource, name, agentNames(document)).map((grant) => grant.constraints))
  for (const bound of [asking.parent, asking.ceiling]) {
    if (bound === undefined) continue
    if (!(name in (bound[resource.url] ?? {}))) return []
    rules.push((bound as Wanted)[resource.url]?.[name])
  }
  const names = [...userNames(document, asking), ...agentNames(document)]
  const denies = document.grants.filter(
    (grant: Raw) => grant.effect === 'deny' && concerns(grant, resource, name, names),
  )
  if (denies.length > 0) return []
  const parsed = rules.map((rule) => parseToolConstraints(rule, 'rule'))
  return CALLS.flatMap((call, index) =>
    parsed.every((rule) => argumentsRefusal(rule, call) === undefined) ? [index] : [],
  )
}

/** Takes away what servers cannot hold callers to; whether anything was. */
function loseUnenforceable(granted: Granted): boolean {
  let lost = false
  for (const [resource, tools] of granted) {
    const whole = (name: string) => tools.get(name)?.length === CALLS.length
    const kept = [...tools].filter(([name]) => {
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

function allows(document: Raw, resource: Raw, name: string, names: readonly string[]): Raw[] {
  return document.grants.filter((grant: Raw) => grant.effect === 'allow' && concerns(grant, resource, name, names))
}

function denialsAhead(document: Raw, asking: Asking, resource: Raw, name: string): number[] {
  const names = [...userNames(document, asking), ...agentNames(document)]
  return document.grants.flatMap((grant: Raw) => {
    const { not_before: notBefore, ...when } = grant.when
    const begins = notBefore === undefined ? 0 : Date.parse(notBefore) / 1000
    const isAhead = grant.effect === 'deny' && begins > NOW && concerns({ ...grant, when }, resource, name, names)
    return isAhead ? [begins] : []
  })
}

function concerns(grant: Raw, resource: Raw, name: string, names: readonly string[]): boolean {
  const { not_before: notBefore, not_after: notAfter, environment } = grant.when
  return (
    grant.principals.some((principal: Raw) => names.includes(Object.entries(principal).join())) &&
    grant.resources.some((selector: Raw) => selected(selector, resource, name)) &&
    !(notBefore !== undefined && Date.parse(notBefore) / 1000 > NOW) &&
    !(notAfter !== undefined && Date.parse(notAfter) / 1000 <= NOW) &&
    !(environment !== undefined && environment !== 'production')
  )
}

function selected(selector: Raw, resource: Raw, name: string): boolean {
  const is: Raw = {
    server: resource.id,
    project: resource.project ?? 'default',
    tool: name,
    category: resource.tools[name].category ?? 'admin',
  }
  return ['server', 'project', 'tool', 'category'].every(
    (member) => selector[member] === undefined || selector[member] === '*' || selector[member] === is[member],
  )
}

function userNames(document: Raw, asking: Asking): readonly string[] {
  if (asking.user === undefined) return []
  const user = document.users.find((entry: Raw) => entry.sub === asking.user)
  const groups = (user.groups ?? []).map((group: string) => `group,${group}`)
  const roles = (user.roles ?? []).map((role: string) => `role,${role}`)
  return [`user,corp:${asking.user}`, ...groups, ...roles]
}

function agentNames(document: Raw): readonly string[] {
  const { client_id: clientId, owner } = document.agents[0]
  return [`agent,${clientId}`, `owner,${owner}`]
}
