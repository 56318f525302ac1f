/** `errand approvals`: which calls wait for a person's yes. */
import type { CommandBody } from '../command.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawApprovals } from './approval-drawing.ts'

export const approvalsCommand: CommandBody = {
  arguments: [],
  options: { ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand approvals', 'errand approvals --admin admin.json'],
  run: async (args, io) => {
    const operator = await connectOperator(args)
    const answer = await operator.get('/approvals')
    if (args.flag('json')) writeJson(answer, io)
    else io.out(drawApprovals(answer, io.styles))
    return 0
  },
}
