/** `errand revoke`: the operator's kill switch, in every dimension, with what died. */
import type { Args } from '../args.ts'
import { BrokerRefusal } from '../broker-client.ts'
import type { CommandBody } from '../command.ts'
import { CommandFailure } from '../failures.ts'
import { programName, shellWord, typedPath } from '../invocation.ts'
import { arrayOf, type JsonObject, jsonObject, textOf } from '../json-fields.ts'
import { tellKeyKill, wholeKid } from '../keys/keys-kill.ts'
import { connectOperator, OPERATOR_OPTIONS, type Operator } from '../operator.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { drawKill } from './kill-drawing.ts'
import { REVOKE_OPTIONS, type RevokeOrder, revokeOrderOf } from './revoke-order.ts'

export const revokeCommand: CommandBody = {
  arguments: [],
  options: {
    ...REVOKE_OPTIONS,
    ...OPERATOR_OPTIONS,
    ...JSON_OPTION,
  },
  examples: [
    'errand revoke --session ses_4VnVzJ0oQm2mXcW3l6y8aA',
    'errand revoke --agent report-orchestrator --block',
    'errand revoke --on-behalf user:corp:alice --by report-orchestrator',
    'errand revoke --agent-version report-agent@2026.11 --block --dry-run',
    'errand revoke --resource warehouse --tool drop_table',
  ],
  notes: [
    'Every broker refuses what was killed at once; a server that only reads signatures refuses it when the token ends, in minutes. What a revoked session did does not begin anew before its user has signed in again; what an agent did by itself, before it is lifted.',
  ],
  run: async (args, io) => {
    const order = await wholeOrder(args)
    const isDryRun = args.flag('dry-run')
    const operator = await connectOperator(args)
    const sent = isDryRun ? { ...order, dry_run: true } : order
    const answer = await operator.post('/revocations', sent).catch(explainFault)
    if (args.flag('json')) writeJson(answer, io)
    else if (order.dimension === 'key') return tellKeyKill(answer, order.kid, io)
    else {
      const note = isDryRun ? undefined : await noteOn(order, answer, { operator, args })
      const tokensOnly = ['session_access', 'resource', 'tool'].includes(order.dimension)
      const living = order.dimension === 'tool'
      io.out(drawKill(answer, { what: headlineOf(order), tokensOnly, living, note }, io.styles))
    }
    return 0
  },
}

/** @throws UsageError */
async function wholeOrder(args: Args): Promise<RevokeOrder> {
  const order = revokeOrderOf(args)
  return order.dimension === 'key' ? { ...order, kid: await wholeKid(order.kid, args.text('config')) } : order
}

/** No token was touched, or a write that came late touched it after all: to repeat is right in both cases. */
function explainFault(fault: unknown): never {
  if (!(fault instanceof BrokerRefusal) || fault.status !== 503) throw fault
  const reason = fault.body['error_reason']
  if (reason === 'keys_not_ready') throw fault
  throw new BrokerRefusal(fault.status, fault.body, reason === 'write_unreplicated' ? UNREPLICATED : STORE_SILENT)
}

const UNREPLICATED =
  'It is revoked at every broker, and written again until every replica has it; before that a failover may lose it. Repeat until it is acknowledged, and see that the replicas are up.'

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
    case 'everything':
      return 'new sessions may begin after a new sign-in, agents’ own work after half a minute; blocks stand as they stood'
    case 'resource':
      return order.block ? undefined : `${COUNTED}; new ones are given at once; add --block to stop them`
    case 'tool':
      return 'of these tokens: they open the other tools, and new ones open this one, until a deny grant keeps it shut'
    case 'agent':
    case 'agent_version':
    case 'owner':
      return order.block
        ? undefined
        : 'work of its own may begin anew at once, for a user by a sign-in more than a minute later; add --block to stop both'
    case 'user':
    case 'user_agent':
    case 'issuer':
      return order.block
        ? undefined
        : 'new sessions may begin by a sign-in more than a minute later; add --block to stop them'
    default:
      return undefined
  }
}

/** Tokens are counted by hop, not by what they are for. */
const COUNTED = 'counted are all tokens of these hops'

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

const SIGN_IN = 'it does not begin anew before its user has signed in again, more than a minute later'

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

function headlineOf(order: Exclude<RevokeOrder, { readonly dimension: 'key' }>): string {
  if (order.dimension === 'session') return 'session revoked'
  if (order.dimension === 'node') return 'hop revoked'
  if (order.dimension === 'session_access') return 'revoked'
  return `${aboutOf(order)} cut off${'block' in order && order.block ? ' and blocked' : ''}`
}

type WideOrder = Exclude<RevokeOrder, { readonly dimension: 'key' | 'session' | 'node' | 'session_access' }>

function aboutOf(order: WideOrder): string {
  switch (order.dimension) {
    case 'everything':
      return 'everything'
    case 'agent':
      return order.agent
    case 'agent_version':
      return `${order.agent}@${order.version}`
    case 'owner':
      return `every agent of ${order.owner}`
    case 'user':
      return order.user
    case 'user_agent':
      return `${order.agent} for ${order.user}`
    case 'issuer':
      return `every user of ${order.issuer}`
    case 'resource':
      return order.resource
    case 'tool':
      return `${order.tool} at ${order.resource}`
  }
}
