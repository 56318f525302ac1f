/** `errand sessions halted`, `sessions resume` and `sessions revoke`: looking at what has drifted, and saying what becomes of it. */
import { epochSeconds, systemClock } from '../../kernel/clock.ts'
import type { ReviewOrder } from '../../revocation/review-session.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { programName } from '../invocation.ts'
import type { Io } from '../io.ts'
import { arrayOf, numberIn, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawSessions } from './session-drawing.ts'

export const sessionsHaltedCommand: CommandBody = {
  arguments: [],
  options: { ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand sessions halted'],
  notes: [
    'Contracted sessions are listed, too: they are left with tools that read. What was asked for outside is in errand audit.',
  ],
  run: async (args, io) => {
    const operator = await connectOperator(args)
    const [halted, contracted] = [
      arrayOf((await operator.get('/sessions?state=halted'))['sessions']),
      arrayOf((await operator.get('/sessions?state=contracted'))['sessions']),
    ]
    const sessions = [...halted, ...contracted]
    if (args.flag('json')) writeJson({ sessions }, io)
    else io.out(sessions.length === 0 ? 'nothing waits for a reviewer\n' : drawn(sessions, io))
    return 0
  },
}

function drawn(sessions: readonly unknown[], io: Io): string {
  const next = [
    'What each asked for stands in errand audit; then say what becomes of it, and why:',
    `  ${programName()} sessions resume SESSION --reason …   (--contracted: with tools that read alone)`,
    `  ${programName()} sessions revoke SESSION --reason …`,
  ]
  return `${drawSessions(sessions, epochSeconds(systemClock), io.styles)}\n${next.join('\n')}\n`
}

const REASON = { reason: { value: 'TEXT', help: 'why, for the record' } } as const

export const sessionsResumeCommand: CommandBody = {
  arguments: ['SESSION'],
  options: {
    ...REASON,
    contracted: { help: 'with tools that read alone' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand sessions resume ses_4VnVzJ0oQm2mXcW3l6y8aA --reason "a wrong prompt, since corrected"',
    'errand sessions resume ses_4VnVzJ0oQm2mXcW3l6y8aA --contracted --reason "may finish reading"',
  ],
  notes: [
    'Takes the role security, and somebody who does not answer for the agent. Nobody has to sign in again: its handles were never cut off, and access tokens are given anew. What was counted begins at nothing.',
  ],
  run: async (args, io) => {
    const answer = await review(args, args.flag('contracted') ? 'contract' : 'resume')
    if (args.flag('json')) writeJson(answer, io)
    else
      io.out(
        `${io.styles.good('resumed')}: it is ${textOf(answer['state'])}${answer['state'] === 'contracted' ? ', with tools that read alone' : ''}${blocksWords(numberIn(answer['lifted']))}\n${othersWords(answer)}`,
      )
    return 0
  },
}

export const sessionsRevokeCommand: CommandBody = {
  arguments: ['SESSION'],
  options: { ...REASON, ...OPERATOR_OPTIONS, ...JSON_OPTION },
  examples: ['errand sessions revoke ses_4VnVzJ0oQm2mXcW3l6y8aA --reason "an injected page has taken it over"'],
  notes: [
    'As errand revoke --session, with the reason on record; what was halted for it is lifted, and begins anew by a new sign-in.',
  ],
  run: async (args, io) => {
    const answer = await review(args, 'revoke')
    if (args.flag('json')) writeJson(answer, io)
    else
      io.out(
        `${io.styles.bad('revoked')}, with all that was passed on from it${blocksWords(numberIn(answer['lifted']))}\n${othersWords(answer)}`,
      )
    return 0
  },
}

async function review(args: Args, action: ReviewOrder['action']) {
  const [session = ''] = args.positionals
  const reason = args.require('reason')
  if (reason.trim() === '') throw new UsageError('say why with --reason')
  const operator = await connectOperator(args)
  return operator.post(`/sessions/${encodeURIComponent(session)}/review`, { action, reason } satisfies ReviewOrder)
}

/** One line each: what to look at next. */
function othersWords(answer: Readonly<Record<string, unknown>>): string {
  const others = arrayOf(answer['still_halted_by'] ?? []).map(textOf)
  return others.map((session) => `its agents stay halted until somebody has reviewed ${session}, too\n`).join('')
}

function blocksWords(lifted: number): string {
  return lifted === 0 ? '' : `; ${lifted} ${lifted === 1 ? 'block' : 'blocks'} of the halt lifted`
}
