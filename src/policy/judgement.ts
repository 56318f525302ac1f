/**
 * One asked tool put through every layer, and what the layers say together. All layers always speak, also after a refusal:
 * the record then shows everything that stands in the way, not only what came first.
 */
import type { ResourceAuthority, ToolConstraints, ToolLimits } from '../authority/authority.ts'
import { meetTool } from '../authority/constraints.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { LAYERS, type Layer, type LayerVerdict, type Question } from '../model/decision.ts'
import type { Container, Resource, Tool } from '../model/resource.ts'
import { unenforceable } from './enforcement.ts'
import { type AskedTool, type Context, judge, type ToolLayer, type ToolVerdict } from './layers.ts'

export type Verdicts = Readonly<Partial<Record<Layer, ToolVerdict>>>

export interface Judgement {
  readonly asked: AskedTool
  readonly verdicts: Verdicts
  /** What is left of the tool; `undefined`: it is refused. */
  readonly constraints: ToolConstraints | undefined
}

const TOOL_LAYERS = LAYERS.filter((layer): layer is ToolLayer => layer !== 'enforcement')

/** Every asked tool, in the order asked. */
export function judgeAll(context: Context): readonly Judgement[] {
  const judgements: Judgement[] = []
  for (const [url, asked] of context.question.asked.resources) {
    const resource = registered(context, url)
    const here: Judgement[] = []
    for (const [name, constraints] of asked.tools) {
      const tool = resource?.tools.get(name)
      const place = placeOf(context.question, resource, tool, constraints)
      here.push(judgeTool(context, { url, name, resource, tool, place }, constraints))
    }
    judgements.push(...(resource === undefined ? here : enforced(context.question, here, url)))
  }
  return judgements
}

/**
 * The container that the tool is to be used in: the one that the question names, or the only one that the asked argument can
 * name. Where they differ, or there is no such container, it is not known.
 */
function placeOf(
  { container }: Question,
  resource: Resource | undefined,
  tool: Tool | undefined,
  constraints: ToolConstraints,
): Container | undefined {
  const argument = tool?.containerArgument
  const asked = argument === undefined ? undefined : constraints.get(argument)
  const only = asked?.const ?? (asked?.enum?.length === 1 ? asked.enum[0] : undefined)
  const id = container ?? only
  return typeof id === 'string' && (only ?? id) === id ? resource?.containers.get(id) : undefined
}

/** Only under the URL it is registered with: parents and tokens are compared byte for byte. */
function registered({ registry }: Context, url: ResourceUrl) {
  try {
    const resource = registry.resource(url)
    return resource?.url === url ? resource : undefined
  } catch {
    return undefined
  }
}

function judgeTool(context: Context, asked: AskedTool, wanted: ToolConstraints): Judgement {
  const verdicts: Partial<Record<Layer, ToolVerdict>> = {}
  let left: ToolConstraints | undefined = wanted
  let refused = false
  for (const layer of TOOL_LAYERS) {
    let verdict = judge(layer, context, asked)
    if (left !== undefined && verdict.verdict === 'allowed' && verdict.constraints !== undefined) {
      left = meetTool(left, verdict.constraints)
      if (left === undefined) verdict = { verdict: 'implicit_deny', cause: CONTRADICTION[layer] }
    }
    verdicts[layer] = verdict
    refused ||= 'cause' in verdict
  }
  return { asked, verdicts, constraints: refused ? undefined : left }
}

const LEAVES_NOTHING = 'no call satisfies both what was asked for and'
const CONTRADICTION: Readonly<Record<ToolLayer, string>> = {
  resource: `${LEAVES_NOTHING} the resource`,
  tool: `${LEAVES_NOTHING} the tool`,
  agent: `${LEAVES_NOTHING} the agent's manifest`,
  user: `${LEAVES_NOTHING} the user's grants`,
  agent_grants: `${LEAVES_NOTHING} the agent's grants`,
  parent: `${LEAVES_NOTHING} the authority above`,
  intent: `${LEAVES_NOTHING} what the session is for`,
  external: `${LEAVES_NOTHING} the external policy`,
  deny_grants: `${LEAVES_NOTHING} the deny grants`,
}

/** Judges what the other layers left at one resource: whether the resource can hold its callers to it. */
function enforced(question: Question, here: readonly Judgement[], url: ResourceUrl): readonly Judgement[] {
  const tools = new Map<string, ToolConstraints>()
  for (const { asked, constraints } of here) if (constraints !== undefined) tools.set(asked.name, constraints)
  const resource = here[0]?.asked.resource
  if (resource === undefined || tools.size === 0) return here
  let lost: ReadonlyMap<string, string>
  try {
    lost = unenforceable(
      question.atCall ? { ...resource, enforces: 'arguments' } : resource,
      tools,
      leastLimits(question, url),
    )
  } catch {
    lost = new Map([...tools.keys()].map((name) => [name, 'the enforcement layer failed']))
  }
  return here.map((judgement) => {
    if (judgement.constraints === undefined) return judgement
    const cause = lost.get(judgement.asked.name)
    const verdict: ToolVerdict = cause === undefined ? { verdict: 'allowed' } : { verdict: 'implicit_deny', cause }
    return {
      asked: judgement.asked,
      verdicts: { ...judgement.verdicts, enforcement: verdict },
      constraints: cause === undefined ? judgement.constraints : undefined,
    }
  })
}

/** The least of what was asked, is above, and the session is for. */
export function leastLimits({ asked, parent, ceiling }: Question, url: ResourceUrl): ToolLimits {
  const bounds = [asked, parent, ceiling]
    .map((authority): ResourceAuthority | undefined => authority?.resources.get(url))
    .flatMap((resource) => resource?.limits.maxCalls ?? [])
  return bounds.length === 0 ? {} : { maxCalls: Math.min(...bounds) }
}

/** The first layer, in the fixed order, that refuses the tool, and why; `undefined`: none does. */
export function refusal({ verdicts }: Judgement): { readonly layer: Layer; readonly cause: string } | undefined {
  for (const layer of LAYERS) {
    const verdict = verdicts[layer]
    if (verdict !== undefined && 'cause' in verdict) return { layer, cause: verdict.cause }
  }
  return undefined
}

/**
 * What each layer says of the question as a whole. `allowed`: it said yes to at least one tool; `explicit_deny`: it refused
 * at least one, one of them by a deny grant, and said yes to none; `implicit_deny`: the same without a deny grant;
 * `not_applicable`: it said neither.
 */
export function layerVerdicts(judgements: readonly Judgement[]): readonly LayerVerdict[] {
  return LAYERS.map((layer) => ({ layer, verdict: verdictOf(layer, judgements) }))
}

function verdictOf(layer: Layer, judgements: readonly Judgement[]): LayerVerdict['verdict'] {
  let most: LayerVerdict['verdict'] = 'not_applicable'
  for (const { verdicts } of judgements) {
    const verdict = verdicts[layer]?.verdict
    if (verdict === 'allowed') return verdict
    if (verdict === 'explicit_deny' || (verdict === 'implicit_deny' && most === 'not_applicable')) most = verdict
  }
  return most
}
