/** `errand replay`: a recorded decision made again, from its stored question and the stored policy. */
import type { CommandBody } from '../command.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawReplay } from './decision-drawing.ts'

export const replayCommand: CommandBody = {
  arguments: ['DECISION'],
  options: { ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand replay dec_4VnVzJ0oQm2mXcW3l6y8aA'],
  notes: ['Exit code 0: the same answer in every respect; 1: another, which is a fault, or it cannot be made again.'],
  run: async (args, io) => {
    const [id = ''] = args.positionals
    const operator = await connectOperator(args)
    const answer = await operator.get(`/decisions/${encodeURIComponent(id)}/replay`)
    if (args.flag('json')) writeJson(answer, io)
    else io.out(drawReplay(answer, io.styles))
    return answer['same'] === true ? 0 : 1
  },
}
