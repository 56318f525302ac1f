/** `errand sessions`: what runs on whose behalf, and one session as its tree. */
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import { LIST_ENTRIES_MAX } from '../../kernel/store-limits.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { arrayOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS, userId } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawSession, drawSessions } from './session-drawing.ts'

export const sessionsCommand: CommandBody = {
  arguments: ['[SESSION]'],
  options: {
    agent: { value: 'CLIENT', help: 'only those that this agent takes part in' },
    user: { value: 'USER', help: 'only those on behalf of this user: user:<issuer slug>:<sub>' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: ['errand sessions', 'errand sessions --agent report-agent', 'errand sessions ses_4VnVzJ0oQm2mXcW3l6y8aA'],
  notes: [
    `The list has the newest ${LIST_ENTRIES_MAX} that are kept; one that ended is kept for a while.`,
    'Runs on the broker’s own machine: it mints a management token from the broker’s keys, for this one request.',
  ],
  run: async (args, io) => {
    const [session] = args.positionals
    const query = chosen(args)
    if (session !== undefined && query !== '')
      throw new UsageError('one session is drawn whole: leave out --agent, --user')
    const operator = await connectOperator(args)
    const now = epochSeconds(systemClock)
    if (session === undefined) {
      const answer = await operator.get(`/sessions${query}`)
      if (args.flag('json')) writeJson(answer, io)
      else io.out(drawSessions(arrayOf(answer['sessions']), now, io.styles))
    } else {
      const answer = await operator.get(`/sessions/${encodeURIComponent(session)}`)
      if (args.flag('json')) writeJson(answer, io)
      else io.out(drawSession(answer, now, io.styles))
    }
    return 0
  },
}

/** @throws UsageError */
function chosen(args: Args): string {
  const [agent, user] = [args.text('agent'), args.text('user')]
  if (agent !== undefined && user !== undefined) throw new UsageError('say --agent or --user, not both')
  if (agent !== undefined) return `?agent=${encodeURIComponent(agent)}`
  return user === undefined ? '' : `?user=${encodeURIComponent(userId(user))}`
}
