/** A decision said to people: one plain sentence, and what each layer said and why. */
import { timeText } from '../kernel/time-text.ts'
import type { Layer, Question, Verdict } from '../model/decision.ts'
import type { Deliberation } from './decide.ts'
import { causeAt, type Judgement, refusal } from './judgement.ts'

export interface ExplainedLayer {
  readonly layer: Layer
  readonly verdict: Verdict
  /** Tools it refused, with the cause: one line for each cause. */
  readonly says: readonly string[]
}

export interface Explanation {
  readonly sentence: string
  readonly layers: readonly ExplainedLayer[]
}

/** Causes one sentence names; the table has them all. */
const CAUSES_SAID_MAX = 3

export function explain(question: Question, deliberation: Deliberation): Explanation {
  return { sentence: sentenceOf(question, deliberation), layers: layersOf(deliberation) }
}

function sentenceOf(question: Question, { decision, judgements }: Deliberation): string {
  const { agent, subject, target } = question
  const who =
    subject === `agent:${agent.clientId}`
      ? `agent ${agent.clientId}`
      : `agent ${agent.clientId}, acting for ${subject},`
  const lost = judgements.filter(({ constraints }) => constraints === undefined)
  if (decision.outcome === 'allow') {
    const may = placesOf(judgements.filter(({ constraints }) => constraints !== undefined)).join(', and ')
    const end = timeText(decision.effective.notAfter)
    const not = lost.length === 0 ? '' : ` Not granted: ${causesOf(lost)}.`
    return `Allowed: ${who} may ${may}, until ${end}.${not}`
  }
  const concerned = target === undefined ? lost : lost.filter(({ asked }) => asked.url === target)
  if (concerned.length === 0) return `Refused: ${decision.description}.`
  return `Refused: ${who} may not ${causesOf(concerned)}.`
}

function causesOf(lost: readonly Judgement[]): string {
  const said = linesOf(
    lost.map((judgement) => ({ judgement, cause: refusal(judgement)?.cause ?? 'nothing is left of it' })),
  )
  const more = said.length - CAUSES_SAID_MAX
  return [...said.slice(0, CAUSES_SAID_MAX), ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}

interface Refused {
  readonly judgement: Judgement
  readonly cause: string
}

/** One for each cause: "`query`, `list_tables` at warehouse: no grant allows user:corp:bob". */
function linesOf(refused: readonly Refused[]): readonly string[] {
  const byCause = Map.groupBy(refused, ({ cause }) => cause)
  return [...byCause].map(([cause, those]) => {
    return `${placesOf(those.map(({ judgement }) => judgement)).join(' and ')}: ${cause}`
  })
}

function placesOf(judgements: readonly Judgement[]): readonly string[] {
  const byPlace = Map.groupBy(judgements, ({ asked }) => asked.resource?.id ?? asked.url)
  return [...byPlace].map(([place, there]) => `${there.map(({ asked }) => `\`${asked.name}\``).join(', ')} at ${place}`)
}

function layersOf({ decision, judgements }: Deliberation): readonly ExplainedLayer[] {
  return decision.layers.map(({ layer, verdict }) => {
    const refused = judgements.flatMap((judgement): Refused[] => {
      const cause = causeAt(judgement, layer)
      return cause === undefined ? [] : [{ judgement, cause }]
    })
    return { layer, verdict, says: linesOf(refused) }
  })
}
