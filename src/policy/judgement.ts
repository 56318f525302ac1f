/**
 * One asked tool put through every layer, and what the layers say together. All layers always speak, also after a refusal:
 * the record then shows everything that stands in the way, not only what came first.
 */
import type { ToolConstraints, ToolLimits } from '../authority/authority.ts'
import { meetTool } from '../authority/constraints.ts'
import { meetLimits } from '../authority/narrowing.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { LAYERS, type Layer, type LayerVerdict, type Question, type Verdict } from '../model/decision.ts'
import type { Container, Resource } from '../model/resource.ts'
import { unenforceable } from './enforcement.ts'
import { type AskedTool, type Context, type Entry, judge, type ToolLayer, type ToolVerdict } from './layers.ts'

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
      const entry: Entry =
        resource === undefined ? { resource, tool: undefined } : { resource, tool: resource.tools.get(name) }
      const place = placeOf(context.question, entry, constraints)
      here.push(judgeTool(context, { url, name, scopes: asked.scopes, place, ...entry }, constraints))
    }
    judgements.push(...(resource === undefined ? here : enforced(context.question, here, resource)))
  }
  return judgements
}

/**
 * The container that the tool is to be used in: the one that the question names, or the only one that the asked argument can
 * name. Where they differ, or there is no such container, it is not known.
 */
function placeOf(
  { container }: Question,
  { resource, tool }: Entry,
  constraints: ToolConstraints,
): Container | undefined {
  const argument = tool?.containerArgument
  const asked = argument === undefined ? undefined : constraints.get(argument)
  const only = asked?.const ?? (asked?.enum?.length === 1 ? asked.enum[0] : undefined)
  const id = container ?? only
  return typeof id === 'string' && (only ?? id) === id ? resource?.containers.get(id) : undefined
}

/** Only under the URL it is registered with: parents and tokens are compared byte for byte. */
function registered({ registry }: Context, url: ResourceUrl): Resource | undefined {
  let found: Resource | undefined
  try {
    found = registry.resource(url)
  } catch {
    // What is no URL is the URL of nothing.
  }
  return found?.url === url ? found : undefined
}

function judgeTool(context: Context, asked: AskedTool, wanted: ToolConstraints): Judgement {
  const verdicts: Partial<Record<Layer, ToolVerdict>> = {}
  let left: ToolConstraints | undefined = wanted
  let refused = false
  for (const layer of TOOL_LAYERS) {
    let verdict = judge(layer, context, asked)
    if (left !== undefined && 'constraints' in verdict) {
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
function enforced(question: Question, here: readonly Judgement[], resource: Resource): readonly Judgement[] {
  const tools = new Map<string, ToolConstraints>()
  for (const { asked, constraints } of here) if (constraints !== undefined) tools.set(asked.name, constraints)
  let lost: ReadonlyMap<string, string>
  try {
    const isHeld = question.atCall && resource.enforces !== 'calls'
    const enforcing: Resource = isHeld ? { ...resource, enforces: 'arguments' } : resource
    lost = unenforceable(enforcing, tools, leastLimits(question, resource.url))
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
  const bounds = [asked, parent, ceiling].flatMap((authority) => authority?.resources.get(url) ?? [])
  return bounds.map(({ limits }) => limits).reduce(meetLimits)
}

/** Why the layer refuses the tool; `undefined`: it does not. */
export function causeAt({ verdicts }: Judgement, layer: Layer): string | undefined {
  const verdict = verdicts[layer]
  return verdict !== undefined && 'cause' in verdict ? verdict.cause : undefined
}

/** The first layer, in the fixed order, that refuses the tool, and why; `undefined`: none does. */
export function refusal(judgement: Judgement): { readonly layer: Layer; readonly cause: string } | undefined {
  for (const layer of LAYERS) {
    const cause = causeAt(judgement, layer)
    if (cause !== undefined) return { layer, cause }
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

const STRONGEST_FIRST: readonly Verdict[] = ['allowed', 'explicit_deny', 'implicit_deny', 'not_applicable']

function verdictOf(layer: Layer, judgements: readonly Judgement[]): Verdict {
  let strongest: Verdict = 'not_applicable'
  for (const { verdicts } of judgements) {
    const verdict = verdicts[layer]?.verdict ?? 'not_applicable'
    if (STRONGEST_FIRST.indexOf(verdict) < STRONGEST_FIRST.indexOf(strongest)) strongest = verdict
  }
  return strongest
}
