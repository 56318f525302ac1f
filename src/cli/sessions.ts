/** `errand sessions`: what runs on whose behalf, and one session as its tree. */
import { epochSeconds, systemClock } from '../kernel/clock.ts'
import type { Command } from './command.ts'
import { arrayOf } from './json-fields.ts'
import { BROKER_OPTION, connectOperator, NAME_OPTION } from './operator.ts'
import { CONFIG_OPTION, JSON_OPTION } from './options.ts'
import { writeJson } from './output.ts'
import { drawSession, drawSessions } from './session-drawing.ts'

export const sessionsCommand: Command = {
  name: 'sessions',
  summary: 'list sessions, or draw one as its tree',
  arguments: ['[SESSION]'],
  options: { ...CONFIG_OPTION, ...BROKER_OPTION, ...NAME_OPTION, ...JSON_OPTION },
  examples: ['errand sessions', 'errand sessions ses_4VnVzJ0oQm2mXcW3l6y8aA'],
  notes: [
    'Runs on the broker’s own machine: it mints a management token from the broker’s keys, for this one request.',
  ],
  run: async (args, io) => {
    const [session] = args.positionals
    const operator = await connectOperator(args)
    const now = epochSeconds(systemClock)
    if (session === undefined) {
      const answer = await operator.get('/sessions')
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
