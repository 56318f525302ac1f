/** `errand challenges`: what the policy refuses again and again, each as one matter. */
import type { CommandBody } from '../command.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawChallenges } from '../policy/diff-drawing.ts'

export const challengesCommand: CommandBody = {
  arguments: [],
  options: {
    since: { value: 'TIME', help: 'only refusals since then, such as 2026-11-01T00:00:00Z' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand challenges', 'errand challenges --since 2026-11-20T00:00:00Z --json'],
  run: async (args, io) => {
    const since = args.text('since')
    const operator = await connectOperator(args)
    const answer = await operator.get(`/challenges${since === undefined ? '' : `?since=${encodeURIComponent(since)}`}`)
    if (args.flag('json')) writeJson(answer, io)
    else io.out(drawChallenges(answer, io.styles))
    return 0
  },
}
