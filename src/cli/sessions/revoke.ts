/** `errand revoke`: the operator's kill switch, in every dimension, with what died. */
import type { KillOrder } from '../../revocation/kill-order.ts'
import type { Args } from '../args.ts'
import { BrokerRefusal } from '../broker-client.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure, UsageError } from '../failures.ts'
import { programName, shellWord, typedPath } from '../invocation.ts'
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { connectOperator, OPERATOR_OPTIONS, type Operator, userId } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawKill } from './kill-drawing.ts'

/** Keys have a command of their own. */
type RevokeOrder = Exclude<KillOrder, { readonly dimension: 'key' }>

export const revokeCommand: CommandBody = {
  arguments: [],
  options: {
    session: { value: 'SESSION', help: 'this session: every hop and every token of it' },
    node: { value: 'NODE', help: 'with --session: this hop and all below it' },
    'access-of': { value: 'SESSION', help: 'the access tokens of this session, which itself lives on' },
    agent: { value: 'CLIENT', help: 'everything this agent holds or has passed on' },
    user: { value: 'USER', help: 'everything on behalf of this user: user:<issuer slug>:<sub>' },
    'on-behalf': { value: 'USER', help: 'with --by: what one agent does for one user' },
    by: { value: 'CLIENT', help: 'with --on-behalf: the agent' },
    everything: { help: 'every token there is, whoever holds it; people sign in anew' },
    block: { help: 'and let nothing new begin until it is lifted (agent, user, or pair)' },
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand revoke --session ses_4VnVzJ0oQm2mXcW3l6y8aA',
    'errand revoke --agent report-orchestrator --block',
    'errand revoke --on-behalf user:corp:alice --by report-orchestrator',
  ],
  notes: [
    'Every broker refuses what was killed at once; a server that only reads signatures refuses it when the token ends, in minutes. What a revoked session did does not begin anew before its user has signed in again; what an agent did by itself, before it is lifted.',
  ],
  run: async (args, io) => {
    const order = killOrderOf(args)
    const operator = await connectOperator(args)
    const answer = await operator.post('/revocations', order).catch(explainFault)
    if (args.flag('json')) writeJson(answer, io)
    else {
      const note = await noteOn(order, answer, { operator, args })
      const tokensOnly = order.dimension === 'session_access'
      io.out(drawKill(answer, { what: headlineOf(order), tokensOnly, note }, io.styles))
    }
    return 0
  },
}

const SELECTORS = ['session', 'access-of', 'agent', 'user', 'on-behalf', 'everything'] as const

/** @throws UsageError unless exactly one thing is meant: a kill must not guess. */
function killOrderOf(args: Args): RevokeOrder {
  const chosen = SELECTORS.filter((name) => args.flag(name))
  const [selector] = chosen
  if (selector === undefined || chosen.length > 1) {
    const named = chosen.length > 1 ? chosen : SELECTORS
    throw new UsageError(`say what to revoke with exactly one of ${named.map((name) => `--${name}`).join(', ')}`)
  }
  if (args.flag('node') && selector !== 'session') throw new UsageError('--node goes with --session')
  if (args.flag('by') && selector !== 'on-behalf') throw new UsageError('--by goes with --on-behalf')
  const block = args.flag('block')
  if (block && !['agent', 'user', 'on-behalf'].includes(selector)) {
    throw new UsageError('--block goes with --agent, --user or --on-behalf')
  }
  if (selector === 'everything') return { dimension: 'everything' }
  const id = args.require(selector)
  switch (selector) {
    case 'session': {
      const node = args.text('node')
      return node === undefined ? { dimension: 'session', session: id } : { dimension: 'node', session: id, node }
    }
    case 'access-of':
      return { dimension: 'session_access', session: id }
    case 'agent':
      return { dimension: 'agent', agent: id, block }
    case 'user':
      return { dimension: 'user', user: userId(id), block }
    case 'on-behalf':
      return { dimension: 'user_agent', user: userId(id), agent: args.require('by'), block }
  }
}

/** No token was touched, or a write that came late touched it after all: to repeat is right in both cases. */
function explainFault(fault: unknown): never {
  const isStore =
    fault instanceof BrokerRefusal && fault.status === 503 && fault.body['error_reason'] !== 'keys_not_ready'
  throw isStore ? new BrokerRefusal(fault.status, fault.body, STORE_SILENT) : fault
}

const STORE_SILENT =
  'Take it that nothing was revoked: the store does not answer. Nothing is issued meanwhile; tokens already out end by themselves. Repeat when /readyz is 200.'

interface Asking {
  readonly operator: Operator
  readonly args: Args
}

/** Whether, and after what, the same may begin anew. */
async function noteOn(order: RevokeOrder, answer: JsonObject, asking: Asking): Promise<string | undefined> {
  switch (order.dimension) {
    case 'session':
      return noWayRound(order.session, asking)
    case 'node': {
      // Below the root a hop dies alone: nothing stands in the way of another.
      const isRoot = arrayOf(jsonObject(answer['revoked'])['sessions']).length > 0
      return isRoot ? noWayRound(order.session, asking) : undefined
    }
    case 'session_access':
      return undefined
    case 'everything':
      return 'new sessions may begin after a new sign-in, agents’ own work at once; blocks stand as they stood'
    case 'agent':
      return order.block ? undefined : 'new sessions may begin at once; add --block to stop them'
    case 'user':
    case 'user_agent':
      return order.block ? undefined : 'new sessions may begin after a new sign-in; add --block to stop them'
  }
}

async function noWayRound(session: string, { operator, args }: Asking): Promise<string> {
  const whose = await whoseWork(session, operator)
  if (whose === undefined) return `${SIGN_IN}; an agent’s own work, before errand lift`
  const { agent, subject } = whose
  if (subject !== `agent:${agent}`) return SIGN_IN
  const [config, broker] = [args.text('config'), args.text('broker')]
  const file = config === undefined ? '' : ` --config ${typedPath(config)}`
  const at = `${file}${broker === undefined ? '' : ` --broker ${shellWord(broker)}`}`
  const lift = `${programName()} lift${at} --on-behalf ${shellWord(subject)} --by ${shellWord(agent)}`
  return `it does not begin anew before: ${lift}`
}

const SIGN_IN = 'it does not begin anew before its user has signed in again'

async function whoseWork(session: string, operator: Operator) {
  try {
    const answer = await operator.get(`/sessions/${encodeURIComponent(session)}`)
    const [agent, subject] = [textOf(answer['agent']), textOf(answer['on_behalf_of'])]
    return agent === undefined || subject === undefined ? undefined : { agent, subject }
  } catch (fault) {
    // The revocation is done; that its record cannot be read any more must not say otherwise.
    if (fault instanceof BrokerRefusal || fault instanceof CommandFailure) return undefined
    throw fault
  }
}

function headlineOf(order: RevokeOrder): string {
  switch (order.dimension) {
    case 'session':
      return 'session revoked'
    case 'node':
      return 'hop revoked'
    case 'session_access':
      return 'revoked'
    case 'everything':
      return 'everything cut off'
    case 'agent':
      return `${order.agent} cut off${order.block ? ' and blocked' : ''}`
    case 'user':
      return `${order.user} cut off${order.block ? ' and blocked' : ''}`
    case 'user_agent':
      return `${order.agent} for ${order.user} cut off${order.block ? ' and blocked' : ''}`
  }
}
