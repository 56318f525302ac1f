/** `errand reach`: what an agent could be given at this moment, and what refuses the rest. */
import { pathSegment } from '../../admin/objects/stored-objects.ts'
import type { CommandBody } from '../command.ts'
import { connectOperator, OPERATOR_OPTIONS, userId } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawReach } from './reach-drawing.ts'

export const reachCommand: CommandBody = {
  arguments: ['AGENT'],
  options: {
    user: { value: 'ID', help: 'for this user, user:<issuer slug>:<sub> (default: work of its own)' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand reach report-agent', 'errand reach report-agent --user user:corp:alice --json'],
  notes: [
    'Each tool is put to the policy of this moment, as an exchange would be: for a sign-in whose risk nobody has named, outside of any container, without a session’s intent. Nothing is granted.',
    'Servers that the agent’s manifest does not touch are only counted.',
  ],
  run: async (args, io) => {
    const [agent = ''] = args.positionals
    const user = args.text('user')
    const query = user === undefined ? '' : `?user=${encodeURIComponent(userId(user))}`
    const operator = await connectOperator(args)
    const reach = await operator.get(`/agents/${pathSegment(agent)}/reach${query}`)
    if (args.flag('json')) writeJson(reach, io)
    else io.out(drawReach(reach, io.styles))
    return 0
  },
}
