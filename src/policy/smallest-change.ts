/**
 * The smallest change that would allow what was refused, found by deciding again on the changed policy. What it proposes is
 * enough, and every part of it is needed; it gives no more than was asked for, and never what no policy may allow.
 */
import { stepsFor } from './change-steps.ts'
import { type Deliberation, deliberate } from './decide.ts'
import { principalKey, principalsOf } from './grant-index.ts'
import type { Judgement } from './judgement.ts'
import type { AskedTool } from './layers.ts'
import { type Case, type Change, type ChangedTool, changedTool, sayChange, withChange } from './policy-change.ts'

export interface SmallestChange {
  /** Each by itself would allow it; several where they are equally small. Empty: nothing is known that would. */
  readonly ways: readonly (readonly Change[])[]
  /** What stands in the way and no such change may remove, by tool. */
  readonly never: readonly string[]
}

/** Tools tried one by one, and ways offered: a person reads them. */
const TOOLS_TRIED_MAX = 32
const WAYS_MAX = 3

/** Nothing for a question that is allowed. */
export function smallestChange({ registry, question }: Case): SmallestChange {
  const start = { registry: concerning({ registry, question }), question }
  const begun = deliberate(start.registry, question)
  if (begun.decision.outcome === 'allow') return { ways: [], never: [] }
  const never: string[] = []
  const plans: (readonly Change[])[] = []
  for (const judgement of concerned(start, begun).slice(0, TOOLS_TRIED_MAX)) {
    const plan = planFor(start, judgement)
    if ('obstacles' in plan) never.push(...plan.obstacles)
    else plans.push(extended(start, begun.judgements, plan.changes))
  }
  const fewest = Math.min(...plans.map((plan) => plan.length))
  const smallest = new Map<string, readonly Change[]>()
  for (const plan of plans.filter(({ length }) => length === fewest)) {
    if (!smallest.has(nameOf(plan))) smallest.set(nameOf(plan), plan)
  }
  return { ways: [...smallest.values()].slice(0, WAYS_MAX), never: [...new Set(never)] }
}

/** Without the grants that name nobody of the question: a copy of few grants is decided on again and again. */
function concerning({ registry, question }: Case) {
  const principals = new Set(principalsOf(question).all)
  const grants = registry.grants.filter((grant) => grant.principals.some((one) => principals.has(principalKey(one))))
  return { ...registry, grants }
}

function concerned({ question }: Case, { judgements }: Deliberation): readonly Judgement[] {
  const { target } = question
  return target === undefined ? judgements : judgements.filter(({ asked }) => asked.url === target)
}

type Plan = { readonly changes: readonly Change[] } | { readonly obstacles: readonly string[] }

/** What it takes until this tool passes every layer and the request is allowed; what turns out not to be needed is left out. */
function planFor(start: Case, { asked }: Judgement): Plan {
  let at = start
  const made: Change[] = []
  // It ends: each round makes a change that was not made before.
  for (;;) {
    const { decision, judgements } = deliberate(at.registry, at.question)
    if (decision.outcome === 'allow') return { changes: needed(start, made) }
    const judgement = judgementOf(asked, judgements)
    const steps = judgement === undefined ? [] : stepsFor(at, judgement, { all: judgements, made })
    if (steps.length === 0) return { obstacles: [decision.description] }
    const obstacles: string[] = []
    for (const step of steps) {
      if (typeof step === 'string') obstacles.push(`${asked.name} at ${asked.resource?.id ?? asked.url}: ${step}`)
      else {
        made.push(step)
        at = withChange(at, step)
      }
    }
    if (obstacles.length > 0) return { obstacles }
  }
}

function judgementOf({ url, name }: AskedTool, judgements: readonly Judgement[]): Judgement | undefined {
  return judgements.find(({ asked }) => asked.url === url && asked.name === name)
}

/** Without each change that the others do not need. */
function needed(start: Case, changes: readonly Change[]): readonly Change[] {
  let kept = changes
  for (const change of changes) {
    const others = kept.filter((one) => one !== change)
    if (allows(start, others)) kept = others
  }
  return kept
}

function allows(start: Case, changes: readonly Change[]): boolean {
  const { registry, question } = changes.reduce(withChange, start)
  return deliberate(registry, question).decision.outcome === 'allow'
}

/** For every other tool of the request that the same changes, made for it too, would allow; each is still needed. */
function extended(start: Case, judgements: readonly Judgement[], plan: readonly Change[]): readonly Change[] {
  let best = plan
  for (const { asked } of judgements) {
    const tool = changedTool(start.question, asked)
    if (tool === undefined || passes(start, best, asked)) continue
    const wider = best.map((change) => withTool(change, tool))
    if (passes(start, wider, asked) && needed(start, wider).length === wider.length) best = wider
  }
  return best
}

function withTool(change: Change, tool: ChangedTool): Change {
  return 'tools' in change ? { ...change, tools: [...change.tools, tool] } : change
}

function passes(start: Case, changes: readonly Change[], asked: AskedTool): boolean {
  const { registry, question } = changes.reduce(withChange, start)
  const { decision, judgements } = deliberate(registry, question)
  return decision.outcome === 'allow' && judgementOf(asked, judgements)?.constraints !== undefined
}

/** The same for plans of the same changes, in whatever order they were found. */
function nameOf(plan: readonly Change[]): string {
  const said = plan.flatMap((change) => {
    return 'tools' in change ? change.tools.map((tool) => sayChange({ ...change, tools: [tool] })) : sayChange(change)
  })
  return said.sort().join('; ')
}
