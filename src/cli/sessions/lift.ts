/** `errand lift`: ends a block. What was cut off stays dead; only new sessions become possible. */

import { pairKey } from '../../authority/dimensions.ts'
import { parseUserPrincipal } from '../../kernel/user-name.ts'
import type { LiftOrder } from '../../revocation/kill-order.ts'
import type { Args } from '../args.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import { connectOperator, OPERATOR_OPTIONS } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'

export const liftCommand: CommandBody = {
  arguments: [],
  options: {
    agent: { value: 'CLIENT', help: 'the block of this agent' },
    user: { value: 'USER', help: 'the block of this user' },
    'on-behalf': {
      value: 'WHO',
      help: 'with --by: the block of one agent for one user, or for its own work (agent:<id>)',
    },
    by: { value: 'CLIENT', help: 'with --on-behalf: the agent' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand lift --agent report-orchestrator',
    'errand lift --on-behalf user:corp:alice --by report-orchestrator',
  ],
  notes: ['No token comes back to life: whatever was cut off stays dead.'],
  run: async (args, io) => {
    const order = liftOrderOf(args)
    const operator = await connectOperator(args)
    const answer = await operator.post('/lifts', order)
    if (args.flag('json')) writeJson(answer, io)
    else
      io.out(
        `${io.styles.bold('lifted')}: ${order.kind} ${order.id.replace('|', ' × ')} may begin anew; what was cut off stays dead\n`,
      )
    return 0
  },
}

/** @throws UsageError */
function liftOrderOf(args: Args): LiftOrder {
  const [agent, user, subject] = [args.text('agent'), args.text('user'), args.text('on-behalf')]
  const chosen = [agent, user, subject].filter((value) => value !== undefined)
  if (chosen.length !== 1) throw new UsageError('say what to lift with exactly one of --agent, --user, --on-behalf')
  if (args.flag('by') && subject === undefined) throw new UsageError('--by goes with --on-behalf')
  if (agent !== undefined) return { kind: 'agent', id: agent }
  if (user !== undefined) return { kind: 'user', id: principal(user, ['user']) }
  return { kind: 'pair', id: pairKey(principal(subject ?? '', ['user', 'agent']), args.require('by')) }
}

/** @throws UsageError */
function principal(text: string, kinds: readonly ('user' | 'agent')[]): string {
  const isWritten = {
    user: parseUserPrincipal(text) !== undefined,
    agent: /^agent:[A-Za-z0-9._~:/[\]-]{1,128}$/.test(text),
  }
  if (kinds.some((kind) => isWritten[kind])) return text
  const written = { user: 'user:<issuer slug>:<sub>', agent: 'agent:<client id>' }
  throw new UsageError(`${text} is not written ${kinds.map((kind) => written[kind]).join(' or ')}`)
}
