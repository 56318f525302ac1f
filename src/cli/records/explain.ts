/** `errand explain`: why a request was allowed or refused, also weeks later. */
import type { CommandBody } from '../command.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawExplanation } from './decision-drawing.ts'

export const explainCommand: CommandBody = {
  arguments: ['DECISION'],
  options: { ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand explain dec_4VnVzJ0oQm2mXcW3l6y8aA', 'errand explain dec_4VnVzJ0oQm2mXcW3l6y8aA --json'],
  notes: [
    'The id is decision_id of the answer, or the id of the audit record. Layers are judged by the policy version that decided; the smallest change is one of the policy as it is now.',
  ],
  run: async (args, io) => {
    const [id = ''] = args.positionals
    const operator = await connectOperator(args)
    const answer = await operator.get(`/decisions/${encodeURIComponent(id)}/explanation`)
    if (args.flag('json')) writeJson(answer, io)
    else io.out(drawExplanation(answer, io.styles))
    return 0
  },
}
