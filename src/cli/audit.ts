/** `errand audit`: the newest records, one line each. */
import { LIST_ENTRIES_MAX } from '../kernel/limits.ts'
import type { Command } from './command.ts'
import { jsonObject, textOf } from './inspect-authority.ts'
import { arrayOf } from './kill-drawing.ts'
import { BROKER_OPTION, connectOperator, NAME_OPTION } from './operator.ts'
import { CONFIG_OPTION, JSON_OPTION } from './options.ts'
import { writeJson } from './output.ts'
import type { Styles } from './terminal.ts'

const LINES_DEFAULT = 50

export const auditCommand: Command = {
  name: 'audit',
  summary: 'show the newest audit records, one line each',
  arguments: [],
  options: {
    limit: { value: 'N', help: `how many (default ${LINES_DEFAULT}, at most ${LIST_ENTRIES_MAX})` },
    ...CONFIG_OPTION,
    ...BROKER_OPTION,
    ...NAME_OPTION,
    ...JSON_OPTION,
  },
  examples: ['errand audit --limit 20', 'errand audit --json | jq ".records[] | select(.outcome == \\"refused\\")"'],
  run: async (args, io) => {
    const limit = args.whole('limit', 1, LIST_ENTRIES_MAX) ?? LINES_DEFAULT
    const operator = await connectOperator(args)
    const answer = await operator.get(`/audit?limit=${limit}`)
    if (args.flag('json')) writeJson(answer, io)
    else for (const record of arrayOf(answer['records'])) io.out(`${line(jsonObject(record), io.styles)}\n`)
    return 0
  },
}

function line(record: Readonly<Record<string, unknown>>, styles: Styles): string {
  const text = (name: string) => textOf(record[name])
  const outcome = text('outcome') ?? 'unknown'
  const mark = (outcome === 'granted' ? styles.good : styles.bad)(outcome.padEnd(7))
  const subject = text('on_behalf_of')
  const facts = [
    text('by'),
    strangers(record['strangers']),
    subject === undefined || subject === text('by') ? undefined : `for ${subject}`,
    text('resource'),
    text('reason'),
    text('session'),
    text('detail'),
  ]
  const said = facts.filter((fact) => fact !== undefined).join('  ')
  return `${styles.dim(text('at') ?? '')}  ${mark}  ${(text('event') ?? '').padEnd(17)}  ${said}  ${styles.dim(text('id') ?? '')}`
}

/** "12 × client_unknown from 10.0.0.7" */
function strangers(value: unknown): string | undefined {
  const rows = arrayOf(value).map(arrayOf)
  if (rows.length === 0) return undefined
  return rows.map(([reason, source, count]) => `${Number(count)} × ${textOf(reason)} from ${textOf(source)}`).join(', ')
}
