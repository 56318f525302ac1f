/**
 * `npm run bench -- <bench>`: measures on this machine and prints tables; with `--json`, one JSON object is the last line of
 * the output. Goals that are not met are printed, not failures: the exit code says whether it was measured.
 */
import { parseArgs } from 'node:util'
import { ensureRedisServer } from '../support/install-redis.ts'
import { exchange } from './exchange.ts'
import { createOutput } from './output.ts'

const HELP = `npm run bench -- <bench> [options]

exchange   what one token exchange costs: Errand on Redis, Errand on the embedded store, a token exchange
           on oidc-provider (peer), and the bare signatures behind a bare HTTP server (floor)

options
  --json             the last line of the output is one JSON object: figures and goals
  --rounds N         rounds per workload; in each, every system has a turn (exchange: 8)
  --exchanges N      exchanges of one turn (2000)
  --warmup N         exchanges of each system before each workload, not measured (2000)
  --connections N    keep-alive connections of the load generator (32)
  --profile          exchange: says afterwards where Errand's CPU time goes, and writes CPU profiles

workloads
  open       a user's ID token for an access token; 87 % of the ID tokens have been seen before
  continue   a session token for an access token (peer: one of its own access tokens)
  new        as open, but no ID token is ever seen twice

CPU time is that of the server's process, all its threads; Redis and the load generator are processes of their own and
not in it. The exit code is 0 when everything was measured and every answer was right, whether the goals are met or not.
`

function wholeNumber(text: string | undefined, otherwise: number, name: string): number {
  if (text === undefined) return otherwise
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new Error(`--${name} must be a whole number above 0`)
  return Number(text)
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      rounds: { type: 'string' },
      exchanges: { type: 'string' },
      warmup: { type: 'string' },
      connections: { type: 'string' },
    },
  })
  const number = (name: 'rounds' | 'exchanges' | 'warmup' | 'connections', otherwise: number) =>
    wholeNumber(values[name], otherwise, name)
  const [name, ...rest] = positionals
  if (name === undefined || values.help) {
    process.stdout.write(HELP)
    return 0
  }
  if (name !== 'exchange' || rest.length > 0) throw new Error(`there is no bench "${positionals.join(' ')}"\n\n${HELP}`)
  const missing = ensureRedisServer()
  if (missing !== undefined) throw new Error(missing)
  const output = createOutput(values.json)
  const result = await exchange(
    {
      rounds: number('rounds', 8),
      exchanges: number('exchanges', 2000),
      warmup: number('warmup', 2000),
      connections: number('connections', 32),
      profile: values.profile,
    },
    output,
  )
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  return 0
}

try {
  process.exitCode = await main()
} catch (fault) {
  process.stderr.write(`${fault instanceof Error ? fault.message : String(fault)}\n`)
  process.exitCode = 1
}
