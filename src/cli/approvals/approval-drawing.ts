/** Approvals as people read them: what would be done first, and every argument as it is, with nothing that only looks like it. */
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { plural, type Styles } from '../terminal.ts'

export function drawApprovals(answer: JsonObject, styles: Styles): string {
  const { bold, dim } = styles
  const approvals = arrayOf(answer['approvals']).map(jsonObject)
  if (approvals.length === 0) return 'no call waits for an approval\n'
  const entries = approvals.flatMap((one) => [
    '',
    `${bold(text(one, 'approval'))}  ${coloured(text(one, 'state'), styles)}`,
    `  ${text(one, 'tool')} at ${text(one, 'resource')}`,
    `  by agent ${text(one, 'agent')} for ${text(one, 'on_behalf_of')}: ${text(one, 'purpose')}`,
    dim(`  until ${text(one, 'expires_at')}; errand approve ${text(one, 'approval')} shows its arguments`),
  ])
  return [plural(approvals.length, 'call'), ...entries, ''].join('\n')
}

export function drawApproval(one: JsonObject, styles: Styles): string {
  const { bold, dim, bad } = styles
  const chain = arrayOf(one['chain']).flatMap((actor) => textOf(actor) ?? [])
  const row = (name: string, value: string) => `  ${dim(name.padEnd(10))} ${value}`
  const word = jsonObject(one['word'])
  return [
    `${bold(`${text(one, 'tool')} at ${text(one, 'resource')}`)}  ${coloured(text(one, 'state'), styles)}`,
    ...(one['arguments'] === null
      ? [bad('  its arguments can no longer be read')]
      : argumentLines(jsonObject(one['arguments']), dim)),
    row('agent', chain.length > 1 ? `${text(one, 'agent')} (${chain.join(' ← ')})` : text(one, 'agent')),
    row('on behalf', text(one, 'on_behalf_of')),
    row('purpose', text(one, 'purpose')),
    row('origin', text(one, 'origin').replaceAll('_', ' ')),
    row('session', text(one, 'session')),
    row('asked by', `${text(one, 'asked_by')} at ${text(one, 'requested_at')}`),
    row('until', text(one, 'expires_at')),
    ...(textOf(word['by']) === undefined ? [] : [row('said', `${text(word, 'by')}: ${text(word, 'reason')}`)]),
    ...(textOf(one['used_by']) === undefined ? [] : [row('used by', text(one, 'used_by'))]),
    ...(text(one, 'state') === 'pending' ? [dim('nothing is approved yet: --reason TEXT does, --deny says no')] : []),
    '',
  ].join('\n')
}

export function drawSaid(said: JsonObject, { good, bad, dim }: Styles): string {
  if (text(said, 'state') === 'denied')
    return `${bad('denied')}: not asked for again until ${text(said, 'expires_at')}\n`
  return [
    `${good('approved')}: ${text(said, 'tool')} at ${text(said, 'resource')}, this once, until ${text(said, 'expires_at')}`,
    dim('  the agent attempts the call again; whatever has changed since is judged again, too'),
    '',
  ].join('\n')
}

function argumentLines(given: JsonObject, dim: (text: string) => string): readonly string[] {
  const entries = Object.entries(given)
  if (entries.length === 0) return [dim('  without arguments')]
  return entries.map(([name, value]) => `  ${plain(name)}: ${plain(value)}`)
}

/** As JSON in plain ASCII: a letter of another alphabet that looks like an `a` is not shown as one. */
function plain(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function text(one: JsonObject, name: string): string {
  return textOf(one[name]) ?? ''
}

function coloured(state: string, { good, bad, accent, dim }: Styles): string {
  if (state === 'pending') return accent('waits')
  if (state === 'approved') return good(state)
  return state === 'denied' ? bad(state) : dim(state)
}
