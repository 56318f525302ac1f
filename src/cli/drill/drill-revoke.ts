/**
 * `errand drill revoke`: whether access really ends everywhere, and how fast. Sessions of the drill's own agent, with trees of
 * tokens, are opened at every broker and revoked at one, and every verifier is asked until it takes none of them. Nothing of
 * anybody else is touched.
 */

import { CLIENT_OPTIONS, identify } from '../agent/client-identity.ts'
import type { Args } from '../args.ts'
import { BrokerClient } from '../broker-client.ts'
import type { CommandBody } from '../command.ts'
import { UsageError } from '../failures.ts'
import type { Io } from '../io.ts'
import { JSON_OPTION } from '../options.ts'
import { writeJson } from '../output.ts'
import { readToken } from '../token-input.ts'
import { drawDrill, drillJson, isWithinBound, type Verdict } from './drill-drawing.ts'
import { measure } from './measure.ts'
import { type Speaker, speakerOf } from './speaker.ts'
import { type Growers, ownEvidence } from './tree.ts'
import { byFeed, byIntrospection, type DrillBroker, type DrillVerifier, WAYS } from './verifiers.ts'

/** What a review of access asks for: within five minutes (a drill that takes longer has failed, whatever the target is). */
const SECONDS_DEFAULT = 300
const ROUNDS_DEFAULT = 5

export const drillRevokeCommand: CommandBody = {
  arguments: [],
  options: {
    ...CLIENT_OPTIONS,
    resource: { value: 'URL', help: 'the MCP server that the drill’s tokens are for, as registered' },
    server: { value: 'ID', help: 'that server’s own client, which the drill verifies as' },
    'server-key': { value: 'FILE', help: 'its private key (default: agents/<id>.jwk.json beside the configuration)' },
    broker: {
      value: 'URL',
      help: 'a broker, may be repeated: all of them open, revoke and are asked (default: the one the configuration says)',
      repeats: true,
    },
    'workload-issuer': {
      value: 'URL',
      help: 'opens sessions: the workload issuer for which the agent’s own key vouches here (README, Drill)',
    },
    'subject-token-file': { value: 'FILE', help: 'opens sessions: the agent’s token of its platform, read each time' },
    'sub-agent': { value: 'ID', help: 'an agent that gets a part of each session delegated, and tokens of its own' },
    'sub-agent-key': { value: 'FILE', help: 'its private key (default: as the server’s)' },
    rounds: { value: 'N', help: `sessions opened at each broker, one after the other (default ${ROUNDS_DEFAULT})` },
    by: {
      value: 'HOW',
      help: `how verifiers hear of it: ${WAYS.join(', ')} (default: both)`,
      oneOf: WAYS,
      repeats: true,
    },
    'max-seconds': {
      value: 'N',
      help: `fail where a verifier takes longer, such as 1 or 0.5 (default ${SECONDS_DEFAULT}: five minutes, which reviews of access ask for)`,
    },
    ...JSON_OPTION,
  },
  examples: [
    'errand drill revoke --client drill-agent --resource https://mcp.example/mcp --server mcp-server',
    'errand drill revoke --client drill-agent --resource https://mcp.example/mcp --server mcp-server --workload-issuer https://drill.example --sub-agent drill-helper --broker https://a.example --broker https://b.example --max-seconds 1',
  ],
  notes: [
    'Exit code 1: a verifier still took a token after that time, or could not say, or did not take it before.',
    'The agent needs client_credentials and a standing intent at that server; make one for drills. With --workload-issuer or --subject-token-file it opens sessions of several tokens, without them single tokens.',
  ],
  run: async (args, io) => {
    const found = await drill(args, io)
    if (args.flag('json')) writeJson(drillJson(found), io)
    else io.out(drawDrill(found, io.styles))
    return isWithinBound(found) ? 0 : 1
  },
}

async function drill(args: Args, io: Io): Promise<Verdict> {
  const maxMs = 1000 * (args.decimal('max-seconds', 0.01, 3600) ?? SECONDS_DEFAULT)
  const rounds = args.whole('rounds', 1, 1000) ?? ROUNDS_DEFAULT
  const { issuer, broker: first } = await identify(args)
  const growers = await growersOf(args, io, issuer)
  const server = await speakerOf(args, args.require('server'), 'server-key', issuer)
  const stopping = new AbortController()
  const ending = new AbortController()
  const given = args.all('broker')
  const named = given.slice(1).map((name) => ({ name, client: new BrokerClient(name) }))
  const brokers: readonly DrillBroker[] = [{ name: given[0] ?? issuer, client: first }, ...named].map((broker) => ({
    ...broker,
    watching: broker.client.endingWith(ending.signal),
  }))
  const verifiers: DrillVerifier[] = []
  const { progress, clear } = progressOf(args, io)
  const stop = () => stopping.abort()
  for (const name of SIGNALS) process.once(name, stop)
  try {
    progress('getting ready')
    for (const broker of brokers) {
      const ways = args.all('by').length > 0 ? args.all('by') : WAYS
      if (ways.includes('introspection')) verifiers.push(byIntrospection(server, broker))
      if (ways.includes('feed')) verifiers.push(await byFeed(server, broker, growers.resource))
    }
    const warn = (text: string) => io.err(`errand: ${text}`)
    const plan = { growers, brokers, verifiers, rounds, maxMs, signal: stopping.signal, progress, warn }
    return { ...(await measure(plan)), rounds, maxMs }
  } finally {
    for (const name of SIGNALS) process.removeListener(name, stop)
    ending.abort()
    await Promise.all(verifiers.map((verifier) => verifier.close()))
    clear()
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

async function growersOf(args: Args, io: Io, issuer: string): Promise<Growers> {
  const agent = await speakerOf(args, args.require('client'), 'agent-key', issuer)
  const helper = args.text('sub-agent')
  const subAgent = helper === undefined ? undefined : await speakerOf(args, helper, 'sub-agent-key', issuer)
  const evidence = evidenceOf(args, io, agent)
  if (subAgent !== undefined && evidence === undefined) {
    throw new UsageError(
      '--sub-agent goes with --workload-issuer or --subject-token-file: single tokens have nothing to delegate',
    )
  }
  return { agent, subAgent, resource: args.require('resource'), evidence }
}

function evidenceOf(args: Args, io: Io, agent: Speaker): Growers['evidence'] {
  const [file, workloadIssuer] = [args.text('subject-token-file'), args.text('workload-issuer')]
  if (file !== undefined && workloadIssuer !== undefined) {
    throw new UsageError('--subject-token-file and --workload-issuer exclude each other')
  }
  if (workloadIssuer !== undefined) return () => ownEvidence(agent, workloadIssuer)
  if (file === '-') throw new UsageError('--subject-token-file is read again for each session: it cannot be piped in')
  return file === undefined ? undefined : () => readToken(file, io)
}

/** One line that changes, where a person looks; else nothing. */
function progressOf(args: Args, io: Io): { progress(text: string): void; clear(): void } {
  const isWatched = io.outIsTerminal && !args.flag('json')
  const show = (text: string) => {
    if (isWatched) io.out(`\r\u001b[2K${text}`)
  }
  return { progress: (text) => show(io.styles.dim(text)), clear: () => show('') }
}
