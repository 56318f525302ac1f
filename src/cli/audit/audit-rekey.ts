/** `errand audit rekey`: everything that was captured, under the newest key-encryption key. */
import type { CommandBody } from '../command.ts'
import { CommandFailure } from '../failures.ts'
import { textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'

/** Brokers go on making pages meanwhile, under the old key until they have heard of the new one. */
const PASSES_MAX = 5

export const auditRekeyCommand: CommandBody = {
  arguments: [],
  options: {
    lost: {
      value: 'ID',
      help: 'the newest key, if its file is lost for good: what it wraps stays unread, the rest goes under an older one',
    },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand audit rekey', 'errand keys rotate-content'],
  notes: [
    'It takes the role security. Data keys are wrapped anew; what they have sealed is not touched, so every proof stays. Broken off, it is simply run again.',
  ],
  run: async (args, io) => {
    const operator = await connectOperator(args)
    const lost = args.text('lost')
    let total = 0
    for (let pass = 0; pass < PASSES_MAX; pass += 1) {
      const seen = { pages: 0, rewrapped: 0, unreadable: 0 }
      let after: string | undefined
      let active: string | undefined
      do {
        const answer = await operator.post('/audit/captured/rekey', {
          ...(after && { after }),
          ...(lost && { lost }),
        })
        for (const name of ['pages', 'rewrapped', 'unreadable'] as const) seen[name] += Number(answer[name])
        active = textOf(answer['active'])
        after = textOf(answer['after'])
        if (!args.flag('json')) io.out(`  ${seen.pages} pages looked at, ${seen.rewrapped} wrapped anew\n`)
      } while (after !== undefined)
      total += seen.rewrapped
      if (seen.rewrapped > 0) continue
      if (args.flag('json')) writeJson({ active, pages: seen.pages, rewrapped: total, unreadable: seen.unreadable }, io)
      else io.out(`${io.styles.bold('done')}: ${seen.pages} pages are under ${active}\n`)
      if (seen.unreadable === 0) return 0
      throw new CommandFailure(`${seen.unreadable} pages are under keys whose files are not here: nobody reads them`)
    }
    throw new CommandFailure(
      'new pages keep coming under another key: a broker lacks the new file. Copy it, run this again',
    )
  },
}
