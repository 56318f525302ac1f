/** Calls of tools for people: first the answer, then the calls that it is made of. */
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { plural, type Styles, wrapped } from '../terminal.ts'
import { endWords } from './story-drawing.ts'
import { gapWords } from './trail-pages.ts'

export type Calls = readonly JsonObject[]

export const isAllowed = (call: JsonObject) => call['decided'] === 'granted'
export const hasSucceeded = (call: JsonObject) => call['ended'] === 'success'
/** It may have, for all anybody knows. */
export const mayHaveSucceeded = (call: JsonObject) => isAllowed(call) && call['ended'] !== 'failure'

/** @param answer one sentence to a group, the most important first */
export function drawCalls(body: JsonObject, answer: readonly string[], { bold, dim, good, bad }: Styles): string {
  const calls = arrayOf(body['calls']).map(jsonObject)
  const gaps = arrayOf(body['gaps']).map((gap) => gapWords(jsonObject(gap)))
  const cut = body['cut'] === true ? ['older calls were not looked at: narrow the time with --since and --until'] : []
  return [
    ...answer.flatMap((line) => wrapped(line, '').map(bold)),
    ...(calls.length === 0 ? [] : ['']),
    ...calls.flatMap((call) => {
      const allowed = isAllowed(call)
      const mark = allowed ? (call['ended'] === 'failure' ? '!' : '✓') : '✗'
      const said = allowed ? endWords(textOf(call['ended'])) : `refused: ${textOf(call['reason']) ?? 'unknown'}`
      const category = textOf(call['category'])
      const what = `${textOf(call['tool'])}${category === undefined ? '' : ` [${category}]`} at ${textOf(call['server'])}`
      const [first = '', ...more] = wrapped(
        `${what} by agent ${textOf(call['agent'])} for ${who(call)}; ${said}`,
        `${textOf(call['at'])}  ? `,
        4,
      )
      return [
        first.replace('?', (mark === '✓' ? good : bad)(mark)),
        ...more,
        dim(`    ${[call['decision'], call['txn'], call['origin']].flatMap((part) => textOf(part) ?? []).join('  ')}`),
      ]
    }),
    ...[...cut, ...gaps].map((line) => bad(line)),
    '',
  ].join('\n')
}

export function who(call: JsonObject): string {
  const [subject, email] = [textOf(call['on_behalf_of']) ?? 'nobody', textOf(call['user_email'])]
  if (!subject.startsWith('user:')) return 'itself'
  return email === undefined ? subject : `${email} (${subject})`
}

/** "agent scribe for alice@… : 3 calls, 1 refused", most calls first. */
export function byActor(calls: Calls): readonly string[] {
  const groups = Map.groupBy(calls, (call) => `agent ${textOf(call['agent'])} for ${who(call)}`)
  return [...groups]
    .sort(([, a], [, b]) => b.length - a.length)
    .map(([actor, those]) => {
      const refused = those.filter((call) => !isAllowed(call)).length
      const made = those.length - refused
      return `${actor}: ${[plural(made, 'call'), ...(refused > 0 ? [`${refused} refused`] : [])].join(', ')}`
    })
}
