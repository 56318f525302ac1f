/** `errand audit`: records by whom, what, where, when and how they ended, newest first, for people or as JSON; or as they come. */
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { jsonText, writeJson } from '../output.ts'
import { followTrail } from './follow-trail.ts'
import { drawRecord } from './record-drawing.ts'
import { TRAIL_OPTIONS, trailQuery } from './trail-options.ts'
import { reachWords, readPages } from './trail-pages.ts'

const LINES_DEFAULT = 50

export const auditCommand: CommandBody = {
  arguments: [],
  options: {
    ...TRAIL_OPTIONS,
    limit: { value: 'N', help: `how many (default ${LINES_DEFAULT}, at most ${LIST_ENTRIES_MAX})` },
    after: { value: 'TOKEN', help: 'go on behind an earlier list: the token that it ended with' },
    follow: { help: 'go on printing new ones, oldest first, until stopped' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand audit --limit 20',
    'errand audit --agent researcher --tool delete_rows --since 2026-11-01T14:00:00Z --until 2026-11-01T16:00:00Z',
    'errand audit --class agent --origin schedule --outcome refused',
    'errand audit --follow --event call.attempt',
    'errand audit --json | jq ".records[] | select(.outcome == \\"refused\\")"',
  ],
  notes: [
    'All that is given must hold. Reading is recorded itself; --follow leaves its own readings out.',
    'errand audit story TXN tells one piece of work, errand explain DECISION why something was allowed or refused.',
  ],
  run: async (args, io) => {
    if (args.flag('follow')) {
      for (const name of ['limit', 'after', 'until']) {
        if (args.flag(name)) throw new UsageError(`--${name} goes without --follow`)
      }
      return followTrail(trailQuery(args), {
        connect: () => connectOperator(args),
        draw: drawing(args, io),
        say: (text) => io.err(`${text}\n`),
      })
    }
    const limit = args.whole('limit', 1, LIST_ENTRIES_MAX) ?? LINES_DEFAULT
    const found = await readPages(await connectOperator(args), trailQuery(args), { limit, after: args.text('after') })
    if (args.flag('json')) writeJson(found, io)
    else {
      for (const record of found.records) io.out(drawRecord(record, io.styles))
      for (const line of endLines(found)) io.out(`${io.styles.dim(line)}\n`)
    }
    return 0
  },
}

/** Lines of JSON, one to a record, where programs read them. */
function drawing(args: Args, io: Io): (record: Parameters<typeof drawRecord>[0]) => void {
  if (args.flag('json')) return (record) => io.out(`${jsonText(record)}\n`)
  return (record) => io.out(drawRecord(record, io.styles))
}

function endLines({ records, after, reach, gaps }: Awaited<ReturnType<typeof readPages>>): readonly string[] {
  const none = records.length === 0 ? ['nothing of this kind is on record'] : []
  const older = after === undefined ? [] : [`there may be older ones: --after ${after}`]
  return [...none, ...gaps, ...older, ...(reach === undefined ? [] : [reachWords(reach)])]
}
