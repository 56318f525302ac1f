/**
 * `npm run bench -- <bench>`: measures on this machine and prints tables; with `--json`, one JSON object is the last line of
 * the output. Goals that are not met are printed, not failures: the exit code says whether it was measured.
 */
import { parseArgs } from 'node:util'
import { ensureRedisServer } from '../support/install-redis.ts'
import { audit } from './audit.ts'
import { credentials } from './credentials.ts'
import { exchange } from './exchange.ts'
import { flood } from './flood.ts'
import { growth } from './growth.ts'
import { createOutput, type Output } from './output.ts'
import { policy } from './policy.ts'
import { revoke } from './revoke.ts'
import { verify } from './verify.ts'

const HELP = `npm run bench -- <bench> [options]

exchange   what one token exchange costs: Errand on Redis, Errand on the embedded store, a token exchange
           on oidc-provider (peer), and the bare signatures behind a bare HTTP server (floor)
flood      whether strangers slow known agents, and what they leave in the audit log
credentials
           what a credential costs whose issuer's keys are known, against the bare check of its signature
policy     what a decision costs among 10 and 100 000 grants that have nothing to do with it, and for how long
           publishing and loading that many hold running brokers up
revoke     how long a revoked token is still believed by servers that follow the feed, with one broker and with four;
           and what sessions and revocations take of memory
verify     what a server's verifier costs: a token it has never seen, and one it has, with a call of a tool;
           and the exchanges that a burst of an agent's calls makes when its token ends
audit      what the audit costs an exchange, on both stores; how long an append to the log takes; and how long the
           trail takes to find records among a million, whatever is asked for
growth     whether that stays so with a million live sessions, ten thousand agents, long chains, large intents

options
  --json             the last line of the output is one JSON object: figures and goals
  --rounds N         rounds of each comparison; in each, every system has a turn (8)
  --exchanges N      exchanges, or decisions, of one turn (2000)
  --warmup N         exchanges of each system before the first round, not measured (2000; audit: 20000)
  --connections N    keep-alive connections of the load generator (32)
  --profile          exchange: says afterwards where Errand's CPU time goes, and writes CPU profiles
  --sessions N       growth, revoke: live sessions of the full stores (1000000)
  --agents N         growth, policy: agents of the large registry (10000)
  --grants N         policy: grants of the version that is published at running brokers (100000)
  --brokers N        audit: brokers of each kind that is compared (3)
  --records N        audit: records of the log (1000000)
  --known N          flood: requests of known agents per second (200)
  --strangers N      flood: requests of strangers per second (2000)
  --appends N        audit: records written per second (2000)
  --seconds N        audit: for how long (40)
  --sources N        flood: loopback addresses that strangers come from (5; more than one needs Linux)

workloads
  open       a user's ID token for an access token; 87 % of the ID tokens have been seen before
  continue   a session token for an access token (peer: one of its own access tokens)
  new        as open, but no ID token is ever seen twice

CPU time is that of the server's process, all its threads; Redis and the load generator are processes of their own and
not in it. The exit code is 0 when everything was measured and every answer was right, whether the goals are met or not.
`

const NUMBERS = {
  rounds: 8,
  exchanges: 2_000,
  warmup: 2_000,
  connections: 32,
  sessions: 1_000_000,
  agents: 10_000,
  grants: 100_000,
  known: 200,
  strangers: 2_000,
  sources: 5,
  brokers: 3,
  records: 1_000_000,
  appends: 2_000,
  seconds: 40,
} as const
type Numbers = Record<keyof typeof NUMBERS, number>

/**
 * Where another number is the usual one. With the audit an exchange runs more code than without: while V8 still compiles that, on
 * threads of its own, what is measured is the compiler.
 */
const USUAL: Readonly<Record<string, Partial<Numbers>>> = { audit: { warmup: 20_000 } }

type Measure = (options: Numbers & { readonly profile: boolean }, output: Output) => Promise<unknown>
const BENCHES: Readonly<Record<string, Measure>> = {
  exchange,
  growth,
  flood,
  policy,
  credentials,
  revoke,
  verify,
  audit,
}

function wholeNumber(text: string, name: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new Error(`--${name} must be a whole number above 0`)
  return Number(text)
}

async function main(): Promise<number> {
  const names = Object.keys(NUMBERS) as (keyof Numbers)[]
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      ...Object.fromEntries(names.map((name) => [name, { type: 'string' } as const])),
    },
  })
  const [name, ...rest] = positionals
  if (name === undefined || values.help) {
    process.stdout.write(HELP)
    return 0
  }
  const measure = Object.hasOwn(BENCHES, name) ? BENCHES[name] : undefined
  if (measure === undefined || rest.length > 0)
    throw new Error(`there is no bench "${positionals.join(' ')}"\n\n${HELP}`)
  const given = { ...NUMBERS, ...USUAL[name], ...values } as Readonly<Record<string, unknown>>
  const numbers = Object.fromEntries(names.map((one) => [one, wholeNumber(String(given[one]), one)])) as Numbers
  const missing = ensureRedisServer()
  if (missing !== undefined) throw new Error(missing)
  const result = await measure({ ...numbers, profile: values.profile }, createOutput(values.json))
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`)
  return 0
}

try {
  process.exitCode = await main()
} catch (fault) {
  process.stderr.write(`${fault instanceof Error ? fault.message : String(fault)}\n`)
  process.exitCode = 1
}
