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
import { versioned } from './revoke-order.ts'

export const liftCommand: CommandBody = {
  arguments: [],
  options: {
    agent: { value: 'CLIENT', help: 'the block of this agent' },
    'agent-version': { value: 'CLIENT@VERSION', help: 'the block of this version of an agent' },
    user: { value: 'USER', help: 'the block of this user' },
    issuer: { value: 'SLUG', help: 'the block of this issuer’s users' },
    resource: { value: 'URL', help: 'the block of this server' },
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
        `${io.styles.bold('lifted')}: ${order.kind.replace('_', ' ')} ${order.id.replace('|', ' × ')} may begin anew; what was cut off stays dead\n`,
      )
    return 0
  },
}

/** @throws UsageError */
function liftOrderOf(args: Args): LiftOrder {
  const chosen = LIFTABLE.filter((name) => args.flag(name))
  const [selector] = chosen
  if (selector === undefined || chosen.length > 1) {
    throw new UsageError(`say what to lift with exactly one of ${LIFTABLE.map((name) => `--${name}`).join(', ')}`)
  }
  if (args.flag('by') && selector !== 'on-behalf') throw new UsageError('--by goes with --on-behalf')
  const id = args.require(selector)
  switch (selector) {
    case 'user':
      return { kind: 'user', id: principal(id, ['user']) }
    case 'agent-version': {
      const { agent, version } = versioned(id)
      return { kind: 'agent_version', id: pairKey(agent, version) }
    }
    case 'on-behalf':
      return { kind: 'pair', id: pairKey(principal(id, ['user', 'agent']), args.require('by')) }
    default:
      return { kind: selector, id }
  }
}

const LIFTABLE = ['agent', 'agent-version', 'user', 'issuer', 'resource', 'on-behalf'] as const

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
