/** What a draft of the policy would change, and what is refused again and again, as people read them. */
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { plural, printable, type Styles } from '../terminal.ts'

const TURNS: Readonly<Record<string, readonly [mark: string, words: string]>> = {
  refused: ['-', 'would be refused'],
  narrowed: ['-', 'would get less'],
  refused_otherwise: ['~', 'would be refused for another reason'],
  widened: ['+', 'would get more'],
  granted: ['+', 'would be allowed'],
}

export function drawDiff(body: JsonObject, styles: Styles): string {
  const { dim, good, bad, accent, bold } = styles
  const changed = arrayOf(body['changed']).map(jsonObject)
  const lines = changed.flatMap((group) => {
    const turn = textOf(group['turn']) ?? ''
    const [mark, words] = TURNS[turn] ?? ['~', turn]
    const colour = mark === '-' ? bad : mark === '+' ? good : accent
    const says = textOf(group['says'])
    const resource = textOf(group['resource'])
    const examples = arrayOf(group['examples']).flatMap((id) => textOf(id) ?? [])
    return [
      `${colour(mark)} ${bold(plural(numberIn(group['count']), 'request'))} of ${textOf(group['agent'])} for ${textOf(group['subject'])}${resource === undefined ? '' : ` at ${resource}`} ${colour(words)}`,
      ...(says === undefined ? [] : [`    ${says}`]),
      `    ${dim(examples.join('  '))}`,
    ]
  })
  const notCompared = numberIn(body['not_comparable'])
  const rest = [
    `${plural(numberIn(body['compared']), 'decision')} compared`,
    ...(notCompared > 0 ? [`${notCompared} could not be: their questions are no longer kept`] : []),
    ...(body['more'] === true ? ['there are older ones'] : []),
  ]
  return [...(lines.length === 0 ? [good('nothing would change')] : lines), dim(rest.join('; ')), ''].join('\n')
}

export function drawChallenges(body: JsonObject, { dim, bad, good, bold }: Styles): string {
  const challenges = arrayOf(body['challenges']).map(jsonObject)
  const lines = challenges.flatMap((challenge) => {
    const byResource = Map.groupBy(
      arrayOf(challenge['tools']).map(jsonObject),
      (tool) => textOf(tool['resource']) ?? '',
    )
    const tools = [...byResource].map(([resource, there]) => {
      return `${there.map(toolWords).join(', ')} at ${resource}`
    })
    const state = textOf(challenge['state']) ?? ''
    const mark = state === 'open' ? bad('✗') : state === 'allowed_now' ? good('✓') : dim('·')
    const times = numberIn(challenge['count']) === 1 ? 'once' : `${numberIn(challenge['count'])} times`
    return [
      `${mark} ${bold(textOf(challenge['agent']) ?? '')} for ${forWhom(challenge)}, ${times}: ${textOf(challenge['reason'])}${state === 'allowed_now' ? good('  allowed now') : ''}`,
      ...tools.map((line) => `    ${line}`),
      `    ${dim(`${textOf(challenge['challenge'])}  last ${textOf(challenge['last_seen'])}  ${textOf(arrayOf(challenge['examples'])[0])}`)}`,
    ]
  })
  const more = body['more'] === true ? '; there are older ones' : ''
  const next = lines.length === 0 ? '' : '; errand challenges resolve CHALLENGE shows what would resolve one'
  const read = dim(`${plural(numberIn(body['looked_at']), 'record')} looked at${more}${next}`)
  return [...(lines.length === 0 ? ['no refusals of the policy'] : lines), read, ''].join('\n')
}

function forWhom(challenge: JsonObject): string {
  const subject = textOf(challenge['on_behalf_of']) ?? ''
  return subject === `agent:${textOf(challenge['agent'])}` ? 'itself' : subject
}

function toolWords({ tool, constraints }: JsonObject): string {
  const name = textOf(tool) ?? ''
  return constraints === undefined ? name : `${name} ${printable(JSON.stringify(constraints))}`
}
