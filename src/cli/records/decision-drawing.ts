/** Decisions as people read them: a sentence, the layers, the smallest change; and what a replay found. */

import { approvalWords, shadowWords } from '../audit/record-drawing.ts'
import { arrayOf, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import { shortVersion } from '../policy/publication-drawing.ts'
import { type Styles, wrapped } from '../terminal.ts'

const VERDICTS: Readonly<Record<string, readonly [mark: string, words: string]>> = {
  allowed: ['✓', 'yes'],
  implicit_deny: ['✗', 'no'],
  explicit_deny: ['✗', 'denied'],
  not_applicable: ['·', 'not asked'],
}

/** Yes to some tools, no to others. */
const PARTLY = ['✓', 'partly'] as const

export function drawExplanation(body: JsonObject, styles: Styles): string {
  const { bold, dim, good, bad } = styles
  const sentence = textOf(body['sentence']) ?? ''
  const colon = sentence.indexOf(':')
  const isGranted = body['outcome'] === 'granted'
  const facts = [textOf(body['decision']), textOf(body['at']), textOf(body['reason'])].filter(
    (fact) => fact !== undefined,
  )
  const layers = arrayOf(body['layers']).map(jsonObject)
  return [
    `${(isGranted ? good : bad)(sentence.slice(0, colon))}${sentence.slice(colon)}`,
    `  ${dim(facts.join('  '))}`,
    ...authorisedLines(body),
    ...(layers.length === 0 ? [] : ['', ...layers.flatMap((layer) => layerLines(layer, styles))]),
    ...originLines(body, styles),
    ...factLines(body, styles),
    ...shadowLines(body['shadow'], styles),
    ...approvalLines(body['approval'], styles),
    ...callLines(jsonObject(body['call']), isGranted, styles),
    ...changeLines(jsonObject(body['change']), bold, dim),
    '',
  ].join('\n')
}

/** Who authorised it, in one sentence; a refusal has said already that nobody did. */
function authorisedLines(body: JsonObject): readonly string[] {
  const said = textOf(body['authorised'])
  return said === undefined || body['outcome'] === 'refused' ? [] : ['', ...wrapped(said, '  ')]
}

function callLines(call: JsonObject, isGranted: boolean, { dim }: Styles): readonly string[] {
  const attempt = textOf(call['attempt'])
  if (attempt === undefined || !isGranted) return []
  const ends = arrayOf(call['ends']).map(jsonObject)
  const said = ends.map(({ ended, at, by }) => `${textOf(ended)}, by ${textOf(by)} at ${textOf(at)}`)
  return [`  ${dim('call')}     attempt ${attempt} ended: ${said.join('; then ') || 'nobody has told yet'}`]
}

function layerLines(layer: JsonObject, { dim, good, bad }: Styles): readonly string[] {
  const verdict = textOf(layer['verdict']) ?? ''
  const says = arrayOf(layer['says']).flatMap((line) => textOf(line) ?? [])
  const [mark = '?', words = verdict] = verdict === 'allowed' && says.length > 0 ? PARTLY : (VERDICTS[verdict] ?? [])
  const colour = mark === '✓' ? good : mark === '✗' ? bad : dim
  const name = (textOf(layer['layer']) ?? '').replaceAll('_', ' ')
  const [first = '', ...more] = says
  const head = `  ${colour(mark)} ${name.padEnd(13)} ${colour(words.padEnd(9))} ${first}`
  return [head.trimEnd(), ...more.map((line) => `${' '.repeat(28)}${line}`)]
}

/** What set it off, and how its session stood. */
function originLines(body: JsonObject, { dim, bad }: Styles): readonly string[] {
  const [origin, { state, drift }] = [textOf(body['origin']), jsonObject(body['conformance'])]
  if (origin === undefined) return []
  const asks = numberIn(drift)
  const stood = state === undefined ? '' : bad(`, session ${textOf(state)}, ${asks} asked outside its intent before`)
  return ['', `  ${dim('origin')}   ${origin}${stood}`]
}

function factLines(body: JsonObject, { dim }: Styles): readonly string[] {
  const policy = jsonObject(body['policy'])
  const version = textOf(policy['version'])
  if (version === undefined) return []
  const grants = jsonObject(body['grants'])
  const matched = arrayOf(grants['matched']).flatMap((id) => textOf(id) ?? [])
  const kept = policy['kept'] === true ? '' : ': no longer kept; the layers are as recorded, without their causes'
  const user = jsonObject(body['user'])
  const groups = [...arrayOf(user['groups']), ...arrayOf(user['roles'])].flatMap((one) => textOf(one) ?? [])
  const sub = textOf(user['sub'])
  return [
    '',
    `  ${dim('grants')}   ${numberIn(grants['evaluated'])} looked at; matched: ${matched.join(', ') || 'none'}`,
    ...(sub === undefined
      ? []
      : [
          `  ${dim('user')}     ${sub}, ${user['active'] === true ? 'active' : 'not active'} then; ${groups.join(', ') || 'in no group'}`,
        ]),
    `  ${dim('policy')}   ${shortVersion(version)}${kept}`,
  ]
}

function approvalLines(approval: unknown, { dim }: Styles): readonly string[] {
  const words = approvalWords(approval)
  return words === undefined ? [] : [`  ${dim('approval')} ${words}`]
}

function shadowLines(shadow: unknown, { dim, accent }: Styles): readonly string[] {
  const words = shadowWords(shadow)
  if (words === undefined) return []
  return [`  ${dim('draft')}    ${shortVersion(jsonObject(shadow)['policy'])}, ${accent(words)}`]
}

function changeLines(
  change: JsonObject,
  bold: (text: string) => string,
  dim: (text: string) => string,
): readonly string[] {
  const ways = arrayOf(change['ways']).map(arrayOf)
  const never = arrayOf(change['never']).flatMap((line) => textOf(line) ?? [])
  if (change['allowed_now'] === true) return ['', bold('The policy of now would allow it: ask again.')]
  if (ways.length === 0 && never.length === 0) return []
  return [
    '',
    bold(
      ways.length === 0
        ? 'No change of policy is known that would allow it'
        : 'The smallest change that would allow it',
    ),
    ...ways.flatMap((way, index) => [
      ...(index === 0 ? [] : [dim('  or')]),
      ...way.map((part) => `  → ${textOf(jsonObject(part)['says']) ?? ''}`),
    ]),
    ...never.map((line) => `  ${dim('never')}  ${line}`),
  ]
}

export function drawReplay(body: JsonObject, { good, bad, dim }: Styles): string {
  const id = textOf(body['decision']) ?? ''
  const policy = shortVersion(body['policy'])
  if (body['same'] === true) {
    const effective = textOf(body['effective'])
    return [
      `${good('the same answer')}: ${textOf(body['outcome'])}, from policy ${policy}`,
      `  ${dim(id)}${effective === undefined ? '' : dim(`  authority ${effective}`)}`,
      '',
    ].join('\n')
  }
  const rows = arrayOf(body['differences']).map(jsonObject)
  return [
    `${bad('another answer')} than was recorded, from policy ${policy}`,
    `  ${dim(id)}`,
    ...rows.flatMap((row) => [
      `  ${textOf(row['of'])}`,
      `    ${dim('recorded')}  ${textOf(row['recorded'])}`,
      `    ${dim('replayed')}  ${textOf(row['replayed'])}`,
    ]),
    '',
  ].join('\n')
}
