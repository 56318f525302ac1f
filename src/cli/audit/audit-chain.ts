/** `errand audit chain`: from a token back to the person, hop by hop. */
import type { CommandBody } from '../command.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawChain } from './chain-drawing.ts'

export const auditChainCommand: CommandBody = {
  arguments: ['JTI'],
  options: { ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand audit chain jti_4VnVzJ0oQm2mXcW3l6y8aA'],
  notes: [
    'JTI is the jti of a token that this broker issued: of an access token, a session token or a delegation. It is told from the records, also when the session is long over; what the session was for is told while the broker has it.',
  ],
  run: async (args, io) => {
    const [jti = ''] = args.positionals
    const answer = await (await connectOperator(args)).get(`/audit/chains/${encodeURIComponent(jti)}`)
    if (args.flag('json')) writeJson(answer, io)
    else io.out(drawChain(answer, io.styles))
    return 0
  },
}
