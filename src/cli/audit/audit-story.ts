/** `errand audit story`: one piece of work on one page, from the prompt to the last call downstream. */
import type { CommandBody } from '../command.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawStory } from './story-drawing.ts'

export const auditStoryCommand: CommandBody = {
  arguments: ['TXN'],
  options: { ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand audit story txn_4VnVzJ0oQm2mXcW3l6y8aA', 'errand audit story txn_4VnVzJ0oQm2mXcW3l6y8aA --json'],
  notes: ['TXN is the txn of a record or of a token: errand audit --session SESSION --json has it.'],
  run: async (args, io) => {
    const [txn = ''] = args.positionals
    const answer = await (await connectOperator(args)).get(`/audit/stories/${encodeURIComponent(txn)}`)
    if (args.flag('json')) writeJson(answer, io)
    else io.out(drawStory(answer, io.styles))
    return 0
  },
}
