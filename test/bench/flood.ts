/**
 * `bench flood`: whether strangers slow known agents. Agents ask at a steady rate; in every other round strangers flood the
 * broker from many addresses. Also: what the flood leaves in the audit log, and that nothing of the agents' is missing there.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { parseHead } from '../../src/audit/log/head.ts'
import { RedisKeys } from '../../src/store/redis-keys.ts'
import { makeCompany, USUAL_SIZE } from './company.ts'
import { atMost, environment, type Figures, figuresOf, rounded, sum } from './figures.ts'
import { goalTable, type Output, table } from './output.ts'
import type { BenchProcess } from './rpc.ts'
import type { Flooded, FloodOrder } from './strangers.ts'
import { Bench, type Round, type Runner } from './systems.ts'

export interface FloodOptions {
  readonly rounds: number
  readonly connections: number
  readonly warmup: number
  /** Requests of strangers, per second. */
  readonly strangers: number
  readonly sources: number
  /** Requests of known agents, per second. */
  readonly known: number
}

const INTENT_TOOLS = 3
const ROUND_SECONDS = 4
const FIRST_FLOOD_MS = 5_000
/** A flood that is much smaller than the one asked for shows nothing. */
const SENT_SHARE_MIN = 0.9

export async function flood(options: FloodOptions, output: Output): Promise<unknown> {
  const bench = await Bench.start(options.connections)
  try {
    const scene = { name: 'usual', company: makeCompany(USUAL_SIZE) }
    const facts = await bench.meet(scene, INTENT_TOOLS)
    const { url } = await bench.redis()
    const runner = await bench.errand('errand-redis', scene, { kind: 'redis', url })
    const order = { facts, port: runner.target.port, perSecond: options.strangers, sources: options.sources }
    const crowd = { process: bench.process('./strangers.ts', 'the strangers'), order }
    const warm = await warmUp(bench, runner, options)
    const { alone, flooded, floods } = await alternate(bench, runner, crowd, { ...options, output })
    await runner.process.call('finish')
    const spent = (rounds: readonly Round[]) => sum(rounds.map(({ cpuMicros }) => cpuMicros))
    const strangers = {
      sent_per_second: sentPerSecond(floods),
      cpu_us_per_request: rounded((spent(flooded) - spent(alone)) / sum(floods.slice(1).map(({ sent }) => sent)), 1),
      requests: sum(floods.map(({ sent }) => sent)),
      answers: addUp(floods.map(({ answers }) => answers)),
      audit_records: await countRecords(url, warm + sum([...alone, ...flooded].map(({ exchanges }) => exchanges))),
    }
    if (strangers.answers['200'] !== undefined) throw new Error('strangers were let in')
    const figures = { alone: figuresOf(alone), flooded: figuresOf(flooded) }
    const goals = { flood_p99_ratio: atMost(figures.flooded.p99_ms / figures.alone.p99_ms, 1.5) }
    output.say(`${figuresTable(figures)}\n\n${strangersText(strangers)}\n\n${goalTable(goals)}`)
    const rates = { known_per_second: options.known, strangers_per_second: options.strangers, sources: options.sources }
    return { bench: 'flood', environment: environment(), ...rates, figures, strangers, goals }
  } finally {
    await bench.close()
  }
}

/** @returns how many exchanges that took */
async function warmUp(bench: Bench, { process, target }: Runner, { warmup }: FloodOptions): Promise<number> {
  const { scene } = target
  await bench.generator.call('prepareFirstSight', { scene, count: warmup })
  const first = await bench.measure({ process, target }, 'open', warmup)
  await bench.generator.call('prepare', { scene, workload: 'open', count: warmup })
  const second = await bench.measure({ process, target }, 'open', warmup)
  return first.exchanges + second.exchanges
}

interface Crowd {
  readonly process: BenchProcess
  readonly order: FloodOrder
}

interface Alternated {
  readonly alone: readonly Round[]
  readonly flooded: readonly Round[]
  readonly floods: readonly Flooded[]
}

async function alternate(
  bench: Bench,
  runner: Runner,
  crowd: Crowd,
  options: FloodOptions & { readonly output: Output },
): Promise<Alternated> {
  const { rounds, known, output } = options
  const measured = { alone: [] as Round[], flooded: [] as Round[] }
  const count = known * ROUND_SECONDS
  // Neither what a stranger may fail with at once nor code that has never run is measured.
  await crowd.process.call('start', crowd.order)
  await sleep(FIRST_FLOOD_MS)
  const floods = [await crowd.process.call<Flooded>('stop')]
  for (let round = 0; round < rounds; round += 1) {
    for (const phase of ['alone', 'flooded'] as const) {
      output.progress(`round ${round + 1} of ${rounds}, ${phase}`)
      await bench.generator.call('prepare', { scene: runner.target.scene, workload: 'open', count })
      if (phase === 'flooded') await crowd.process.call('start', crowd.order)
      measured[phase].push(await bench.measure(runner, 'open', count, known))
      if (phase === 'flooded') floods.push(await crowd.process.call<Flooded>('stop'))
    }
  }
  return { ...measured, floods }
}

/**
 * Of the log, which has them all once the broker has ended.
 * @throws when a record of an exchange is missing. @returns the records beside those of exchanges: what strangers left
 */
async function countRecords(redisUrl: string, exchanges: number): Promise<number> {
  const redis = new Redis(redisUrl)
  const { size } = parseHead((await redis.get(new RedisKeys('default').logHead())) ?? undefined)
  redis.disconnect()
  if (size < exchanges) throw new Error('records of known agents are missing')
  return size - exchanges
}

/** @throws when it was not the flood that was asked for */
function sentPerSecond(floods: readonly Flooded[]): number {
  const total = (of: 'sent' | 'due' | 'seconds') => sum(floods.map((one) => one[of]))
  const share = total('sent') / total('due')
  if (share < SENT_SHARE_MIN) {
    const found = `${rounded(share * 100, 0)} % of it`
    throw new Error(`the strangers could not send what they should: ${found}; is the machine busy with something else?`)
  }
  return rounded(total('sent') / total('seconds'), 0)
}

function addUp(counts: readonly Readonly<Record<string, number>>[]): Readonly<Record<string, number>> {
  const total: Record<string, number> = {}
  for (const one of counts) for (const [name, count] of Object.entries(one)) total[name] = (total[name] ?? 0) + count
  return total
}

function figuresTable(figures: Readonly<Record<string, Figures>>): string {
  const rows = Object.entries(figures).map(([label, row]) => [label, row.exchanges_per_second, row.p50_ms, row.p99_ms])
  return table([['known agents', 'per second', 'p50 ms', 'p99 ms'], ...rows])
}

function strangersText({ requests, sent_per_second, answers, audit_records, cpu_us_per_request }: Strangers): string {
  const statuses = Object.entries(answers).map(([status, count]) => `${status}: ${count}`)
  return `${requests} requests of strangers, ${sent_per_second} a second (${statuses.join(', ')}), cost ${cpu_us_per_request} µs of CPU each and left ${audit_records} audit records`
}

interface Strangers {
  readonly sent_per_second: number
  readonly cpu_us_per_request: number
  readonly requests: number
  readonly answers: Readonly<Record<string, number>>
  readonly audit_records: number
}
