/** `errand decisions`: recorded decisions of the policy, newest first, found by whom and what they were about. */
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import { drawRecord } from '../audit/record-drawing.ts'
import type { CommandBody } from '../command.ts'
import { arrayOf, jsonObject, numberIn } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { plural } from '../terminal.ts'

const LINES_DEFAULT = 50
const FILTERS = ['agent', 'user', 'resource', 'outcome', 'reason', 'since'] as const

export const decisionsCommand: CommandBody = {
  arguments: [],
  options: {
    agent: { value: 'NAME', help: 'only of this agent' },
    user: { value: 'USER', help: 'only for this user, written user:<issuer slug>:<sub>' },
    resource: { value: 'URL', help: 'only for this resource' },
    outcome: { value: 'OUTCOME', help: 'granted, refused, unfinished or undone' },
    reason: { value: 'REASON', help: 'only those refused for this reason' },
    since: { value: 'TIME', help: 'only since then, such as 2026-11-01T00:00:00Z' },
    'shadow-differs': { help: 'only those that the draft in shadow would have answered otherwise' },
    limit: { value: 'N', help: `how many (default ${LINES_DEFAULT}, at most ${LIST_ENTRIES_MAX})` },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand decisions --outcome refused --limit 20',
    'errand decisions --agent orchestrator --user user:corp:alice --since 2026-11-01T00:00:00Z',
    'errand decisions --shadow-differs',
  ],
  notes: [
    'Decisions of the policy only; errand audit has every record. errand explain says more about one, by its id.',
  ],
  run: async (args, io) => {
    const limit = args.whole('limit', 1, LIST_ENTRIES_MAX) ?? LINES_DEFAULT
    const query = new URLSearchParams({ limit: String(limit) })
    for (const name of FILTERS) {
      const value = args.text(name)
      if (value !== undefined) query.set(name, value)
    }
    if (args.flag('shadow-differs')) query.set('shadow', 'differs')
    const operator = await connectOperator(args)
    const answer = await operator.get(`/decisions?${query}`)
    if (args.flag('json')) {
      writeJson(answer, io)
      return 0
    }
    for (const record of arrayOf(answer['decisions'])) io.out(drawRecord(jsonObject(record), io.styles))
    const older = answer['after'] === undefined ? '' : '; there are older ones'
    io.out(`${io.styles.dim(`${plural(numberIn(answer['looked_at']), 'record')} looked at${older}`)}\n`)
    return 0
  },
}
