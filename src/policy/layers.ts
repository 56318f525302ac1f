/**
 * The layers of DESIGN §6 that speak about one tool. Each judges alone, so that no order of layers, grants or manifest
 * entries can change what is granted; only `decide.ts` combines them. `enforcement` speaks about scopes: see its own file.
 */
import type { Authority, ResourceAuthority, ToolConstraints } from '../authority/authority.ts'
import { meetTool } from '../authority/constraints.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { userPrincipal } from '../kernel/ids.ts'
import type { Client } from '../model/client.ts'
import type { Layer, Question } from '../model/decision.ts'
import { mayIssue } from '../model/lifecycle.ts'
import type { Grant, Registry } from '../model/registry.ts'
import { type Container, type ManifestEntry, type Resource, type Tool, whyNotIssuedFor } from '../model/resource.ts'
import type { ScopeSet } from '../protocol/scope.ts'
import { grantsFor, isInForce, type Principals, type Use } from './grant-index.ts'
import { holdsIn, selects } from './selector.ts'

export type ToolVerdict =
  | { readonly verdict: 'allowed' | 'not_applicable' }
  /** `constraints`: what the layer narrows the tool to. */
  | { readonly verdict: 'allowed'; readonly constraints: ToolConstraints }
  /** `cause`: what would have been needed. */
  | { readonly verdict: 'implicit_deny' | 'explicit_deny'; readonly cause: string }

/** One tool asked for. */
interface Asked {
  readonly url: ResourceUrl
  readonly name: string
  /** All that were asked for at the resource. */
  readonly scopes: ScopeSet
  /** Where it is to be used: the container of `resource` that the question names; `undefined`: none, or none there is. */
  readonly place: Container | undefined
}

/** As the registry knows it; `undefined`: it does not. No tool is known without its resource. */
export type Entry =
  | { readonly resource: Resource; readonly tool: Tool }
  | { readonly resource: Resource | undefined; readonly tool: undefined }

export type AskedTool = Asked & Entry

export interface Context {
  readonly registry: Registry
  readonly question: Question
  /** Everybody the question is about, as grants name them. */
  readonly principals: Principals
  /** Grants looked at, and those in force that named the question's tool and principal: for the record. */
  readonly evaluated: Set<Grant>
  readonly matched: Set<Grant>
}

export type ToolLayer = Exclude<Layer, 'enforcement'>
/** A tool that the registry has. */
export type Known = Asked & Use
type Judge<T extends AskedTool> = (context: Context, asked: T) => ToolVerdict

const ALLOWED: ToolVerdict = { verdict: 'allowed' }
const NOT_APPLICABLE: ToolVerdict = { verdict: 'not_applicable' }

/** An unclassified tool counts as one that administers, so it is not among those that read. */
const CONTRACTED = 'the session is contracted after calls outside its intent: only tools that read are left'

function denied(cause: string): ToolVerdict {
  return { verdict: 'implicit_deny', cause }
}

/** What the layer says of the tool. A fault in a layer denies: an exception must not skip a refusal. */
export function judge(layer: ToolLayer, context: Context, asked: AskedTool): ToolVerdict {
  try {
    return JUDGES[layer](context, asked)
  } catch {
    return denied(`the ${layer} layer failed`)
  }
}

const JUDGES: Readonly<Record<ToolLayer, Judge<AskedTool>>> = {
  resource: ({ question }, { resource }) => {
    if (resource === undefined) return denied('the resource is not registered')
    const why = whyNotIssuedFor(resource, question.environment)
    return why === undefined ? ALLOWED : denied(`the resource is ${why.says}`)
  },
  tool: ({ question }, { scopes, resource, tool, place }) => {
    if (tool === undefined) return denied('the tool is not registered')
    // Also where two parts of the question name different ones: what is judged must be what will be used.
    if (question.container !== undefined && question.container !== place?.id) {
      return denied(`${resource.id} has no container ${question.container} that this is about`)
    }
    if (!resource.isClassified) return denied('unclassified: the tools of the server are not those that were pinned')
    if (!tool.delegable) return denied('not delegable to agents')
    return scopes.includes(tool.scope) ? ALLOWED : denied(`its scope ${tool.scope} was not asked for`)
  },
  agent: known(judgeAgent),
  user: known(judgeUser),
  agent_grants: known(judgeAgentGrants),
  parent: known(({ question }, asked) => within(question.parent, asked, 'the authority above')),
  intent: known(({ question }, asked) => {
    if (question.contracted && asked.tool.category !== 'read') return denied(CONTRACTED)
    return within(question.ceiling, asked, 'what the session is for')
  }),
  external: ({ question: { external } }, { url, name }) => {
    if (external.kind === 'none') return NOT_APPLICABLE
    if (external.kind === 'failed') return denied(external.cause)
    return external.allowed.get(url)?.has(name) === true ? ALLOWED : denied('the external policy does not allow it')
  },
  deny_grants: known(judgeDenyGrants),
}

/** What the registry does not know is refused by `resource` and `tool`; the other layers have nothing to judge. */
function known(judgeKnown: Judge<Known>): Judge<AskedTool> {
  return (context, asked) => (asked.tool === undefined ? NOT_APPLICABLE : judgeKnown(context, asked))
}

/** Of every agent of the chain: what one may no longer do, those it passed it on to may not do either. So of every server. */
function judgeAgent({ question }: Context, use: Known): ToolVerdict {
  const { environment } = question
  const clients = [question.agent, ...question.chain, ...question.services]
  const allowing: ManifestEntry[] = []
  for (const client of clients) {
    const { kind, clientId, state } = client
    const own = client.kind === 'agent' ? client.environment : environment
    if (!mayIssue(state, environment)) return denied(`${kind} ${clientId} is ${state}`)
    if (own !== environment) return denied(`agent ${clientId} belongs to environment ${own}, this is ${environment}`)
    const entries = entriesFor(client, use)
    if (entries.length === 0) return denied(`not in the manifest of ${kind} ${clientId}`)
    allowing.push(...entries)
  }
  const names = clients.map(({ kind, clientId }) => (kind === 'agent' ? clientId : `${kind} ${clientId}`))
  return narrowed(allowing, `the manifest of agent ${names.join(', ')}`)
}

/** What a client's own manifest says of the tool; empty: it does not contain it. */
export function entriesFor({ manifest }: Pick<Client, 'manifest'>, { resource, tool, place }: Use) {
  return manifest.filter(({ selector }) => selects(selector, resource, tool) && holdsIn(selector, place) === true)
}

function judgeUser(context: Context, use: Known): ToolVerdict {
  const { user, subject } = context.question
  if (user === undefined) {
    // A user's work must never pass for an agent's own because the user was not looked up.
    if (!subject.startsWith('agent:')) return denied(`${subject} was not looked up`)
    return use.resource.mode === 'personal' ? denied('personal mode requires a user') : NOT_APPLICABLE
  }
  if (subject !== userPrincipal(user.issuerSlug, user.sub)) return denied(`${subject} is not the user looked up`)
  if (!user.active) return denied(`${subject} is not active`)
  const grants = allowsInForce(context, use, context.principals.user)
  if (grants.length === 0) return denied(`no grant allows ${subject}`)
  return narrowed(grants, `the grants of ${subject}`)
}

/** Allows on an agent or its owner give nothing (the manifest does that); they only narrow. */
function judgeAgentGrants(context: Context, use: Known): ToolVerdict {
  const grants = allowsInForce(context, use, context.principals.agents)
  return grants.length === 0
    ? NOT_APPLICABLE
    : narrowed(grants, `the grants of agent ${context.question.agent.clientId}`)
}

function judgeDenyGrants(context: Context, use: Known): ToolVerdict {
  const denies = deniesNaming(context, use)
  const inForce = denies.filter(({ when }) => isInForce(when, context.question) !== false)
  for (const grant of denies) context.evaluated.add(grant)
  for (const grant of inForce) context.matched.add(grant)
  // The least id: which deny is named must not depend on the order of the file.
  const [id] = inForce.map((grant) => grant.id).sort()
  return id === undefined ? ALLOWED : { verdict: 'explicit_deny', cause: `denied by grant ${id}` }
}

function deniesNaming({ registry, principals }: Context, use: Use): readonly Grant[] {
  return grantsFor(registry, use, principals.all).filter(({ effect }) => effect === 'deny')
}

/** When deny grants that name the tool and anybody of the question will begin. Epoch seconds. */
export function denialsAhead(context: Context, use: Use): readonly number[] {
  const { now } = context.question
  return deniesNaming(context, use).flatMap(({ when }) => {
    const { notBefore = now } = when
    return notBefore > now && isInForce(when, { ...context.question, now: notBefore }) !== false ? [notBefore] : []
  })
}

/** Allow grants of these principals that are certainly in force. */
export function allowsInForce(context: Context, use: Use, principals: readonly string[]): readonly Grant[] {
  const inForce: Grant[] = []
  for (const grant of grantsFor(context.registry, use, principals)) {
    if (grant.effect !== 'allow') continue
    context.evaluated.add(grant)
    if (isInForce(grant.when, context.question) !== true) continue
    context.matched.add(grant)
    inForce.push(grant)
  }
  return inForce
}

/** Everything that matches narrows: two rules on one tool are intersected, never united. */
function narrowed(rules: readonly { readonly constraints: ToolConstraints }[], whose: string): ToolVerdict {
  let constraints: ToolConstraints | undefined = new Map()
  for (const rule of rules) {
    if (constraints !== undefined) constraints = meetTool(constraints, rule.constraints)
  }
  if (constraints === undefined) return denied(`${whose} contradict each other`)
  return { verdict: 'allowed', constraints }
}

const NOTHING: Pick<ResourceAuthority, 'scopes' | 'tools'> = { scopes: [], tools: new Map() }

function within(bound: Authority | undefined, { url, name, tool }: Known, what: string): ToolVerdict {
  if (bound === undefined) return NOT_APPLICABLE
  const { scopes, tools } = bound.resources.get(url) ?? NOTHING
  const constraints = tools.get(name)
  if (constraints === undefined) return denied(`not in ${what}`)
  if (!scopes.includes(tool.scope)) return denied(`its scope ${tool.scope} is not in ${what}`)
  return { verdict: 'allowed', constraints }
}
