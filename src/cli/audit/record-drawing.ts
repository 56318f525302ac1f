/** One audit record for people: who, what and why within 100 columns, and below it the id to look it up by. */
import { arrayOf, decodeObject, type JsonObject, jsonObject, numberIn, textOf } from '../json-fields.ts'
import type { Styles } from '../terminal.ts'

const WIDTH = 100
const INDENT = '    '

export function drawRecord(record: JsonObject, styles: Styles): string {
  const text = (name: string) => textOf(record[name])
  const at = text('at') ?? ''
  const outcome = text('outcome') ?? 'unknown'
  const event = text('event') ?? ''
  const subject = text('on_behalf_of')
  const facts = [
    text('by'),
    strangers(record['strangers']),
    subject === undefined || subject === text('by') ? undefined : `for ${subject}`,
    text('tool'),
    text('resource'),
    text('reason'),
    text('session'),
    text('txn'),
    text('origin'),
    disclosureWords(record['disclosure']),
    callWords(record['call']),
    approvalWords(record['approval']),
    shadowWords(record['shadow']),
    // A detail says what it was done to by itself.
    detailWords(record['detail']) ?? textOf(jsonObject(record['change'])['object']),
  ]
  const head = `${at}  ${outcome.padEnd(7)}  ${event.padEnd(17)}`
  const mark = (outcome === 'granted' ? styles.good : styles.bad)(outcome.padEnd(7))
  // Folded before it is coloured: colours have no width.
  const [first = '', ...more] = fold(
    head,
    facts.filter((fact) => fact !== undefined),
  )
  const said = `${styles.dim(at)}  ${mark}${first.slice(at.length + 2 + Math.max(7, outcome.length))}`
  return [said, ...more, `${INDENT}${styles.dim(text('id') ?? 'without an id')}`, ''].join('\n')
}

/** A fact that does not fit behind the last one starts a line of its own; one longer than a line is folded at its spaces. */
function fold(head: string, facts: readonly string[]): string[] {
  const lines = [head]
  const add = (piece: string, gap: string) => {
    const last = lines.at(-1) ?? ''
    if (last !== INDENT && last.length + gap.length + piece.length > WIDTH) lines.push(`${INDENT}${piece}`)
    else lines[lines.length - 1] = `${last}${gap}${piece}`
  }
  for (const fact of facts) {
    if (INDENT.length + fact.length <= WIDTH) add(fact, '  ')
    else for (const [index, word] of fact.split(' ').entries()) add(word, index === 0 ? '  ' : ' ')
  }
  return lines.map((line) => line.trimEnd())
}

/** "12 × client_unknown from 10.0.0.7" */
function strangers(value: unknown): string | undefined {
  const rows = arrayOf(value).map(arrayOf)
  if (rows.length === 0) return undefined
  return rows
    .map(([reason, source, count]) => `${numberIn(count)} × ${textOf(reason)} from ${textOf(source)}`)
    .join(', ')
}

/** "attempt 3f…", or, of an outcome, "attempt 3f… ended: failure" */
function callWords(value: unknown): string | undefined {
  const call = jsonObject(value)
  const [attempt, ended] = [textOf(call['attempt']), textOf(call['ended'])]
  if (attempt === undefined) return undefined
  const late = call['after'] === undefined ? '' : ', told after it had been recorded as unknown'
  return `attempt ${attempt}${ended === undefined ? '' : ` ended: ${ended}${late}`}`
}

/** Of what was captured: "arguments of dec_…: “INC-212: was PII sent?”" */
function disclosureWords(value: unknown): string | undefined {
  const disclosure = jsonObject(value)
  const [of, reason] = [textOf(disclosure['of']), textOf(disclosure['reason'])]
  if (reason === undefined) return undefined
  const kinds = arrayOf(disclosure['kinds']).flatMap((kind) => textOf(kind) ?? [])
  return `${kinds.join(', ') || 'nothing'} of ${of ?? 'many records'}: “${reason}”`
}

/** "apr_…, by user:corp:carol" */
export function approvalWords(value: unknown): string | undefined {
  const approval = jsonObject(value)
  const [id, by] = [textOf(approval['id']), textOf(approval['by'])]
  return id === undefined ? undefined : `${id}${by === undefined ? '' : `, by ${by}`}`
}

const SHADOW_TURNS: Readonly<Record<string, string>> = {
  granted: 'would grant it',
  refused: 'would refuse it',
  narrowed: 'would give less',
  widened: 'would give more',
}

/** Of the draft that ran in shadow: "in shadow, would refuse it (nothing_granted)". `undefined`: it would have said the same. */
export function shadowWords(value: unknown): string | undefined {
  const shadow = jsonObject(value)
  const [turn, reason] = [textOf(shadow['turn']), textOf(shadow['reason'])]
  if (turn === undefined) return undefined
  return `in shadow, ${SHADOW_TURNS[turn] ?? turn}${reason === undefined ? '' : ` (${reason})`}`
}

/** An operator's order is recorded as it came, in JSON; said here as `errand revoke` and `errand lift` would say it. */
function detailWords(value: unknown): string | undefined {
  const text = textOf(value)
  if (text === undefined) return undefined
  const isLift = text.startsWith('lift ')
  const order = decodeObject(isLift ? text.slice('lift '.length) : text)
  if (order === undefined) return text
  return (isLift ? liftWords(order) : revokeWords(order)) ?? text
}

function liftWords(order: JsonObject): string | undefined {
  const [kind, id] = [textOf(order['kind']), textOf(order['id'])]
  if (kind === undefined || id === undefined) return undefined
  return `lift ${kind} ${id.replace('|', ' × ')}`
}

function revokeWords(order: JsonObject): string | undefined {
  const name = (member: string) => textOf(order[member]) ?? 'unnamed'
  const block = order['block'] === true ? ', block' : ''
  switch (order['dimension']) {
    case 'session':
      return `revoke session ${name('session')}`
    case 'node':
      return `revoke hop ${name('node')} of session ${name('session')}`
    case 'session_access':
      return `revoke access tokens of session ${name('session')}`
    case 'everything':
      return 'revoke everything'
    case 'agent':
      return `revoke agent ${name('agent')}${block}`
    case 'user':
      return `revoke user ${name('user')}${block}`
    case 'user_agent':
      return `revoke agent ${name('agent')} for user ${name('user')}${block}`
    default:
      return undefined
  }
}
