/** `errand audit`: the newest records, for people or as JSON. */
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import { ORIGIN_TYPES } from '../../model/intent.ts'
import type { CommandBody } from '../command.ts'
import { arrayOf, jsonObject } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawRecord } from './audit-drawing.ts'

const LINES_DEFAULT = 50

export const auditCommand: CommandBody = {
  arguments: [],
  options: {
    limit: { value: 'N', help: `how many (default ${LINES_DEFAULT}, at most ${LIST_ENTRIES_MAX})` },
    class: { value: 'CLASS', help: 'only of those who asked as agent, service, user or operator' },
    origin: { value: 'ORIGIN', help: `only what was set off by ${ORIGIN_TYPES.join(', ')}` },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand audit --limit 20',
    'errand audit --class agent --origin schedule',
    'errand audit --json | jq ".records[] | select(.outcome == \\"refused\\")"',
  ],
  run: async (args, io) => {
    const limit = args.whole('limit', 1, LIST_ENTRIES_MAX) ?? LINES_DEFAULT
    const query = new URLSearchParams({ limit: String(limit) })
    for (const name of ['class', 'origin'] as const) {
      const value = args.text(name)
      if (value !== undefined) query.set(name, value)
    }
    const operator = await connectOperator(args)
    const answer = await operator.get(`/audit?${query}`)
    if (args.flag('json')) writeJson(answer, io)
    else for (const record of arrayOf(answer['records'])) io.out(drawRecord(jsonObject(record), io.styles))
    return 0
  },
}
