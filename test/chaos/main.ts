/**
 * `npm run test:chaos`: prints what befalls the store and the brokers, the figures, and every law that was broken. The history is
 * kept. `--topology sentinel|cluster --seed N --rounds N`; `--judge FILE` judges a history that was kept. Exit code 1: a law was broken.
 */
import { randomInt } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ensureRedisServer } from '../support/install-redis.ts'
import { violations } from './checker.ts'
import { figuresOf } from './figures.ts'
import { type History, readHistory, writeHistory } from './history.ts'
import { runChaos, TOPOLOGIES, type Topology } from './run.ts'

const { values } = parseArgs({
  options: {
    topology: { type: 'string' },
    seed: { type: 'string' },
    rounds: { type: 'string', default: '8' },
    callers: { type: 'string', default: '4' },
    judge: { type: 'string' },
  },
})

function judge(history: History): boolean {
  const { killToLastAcceptanceMs: kill, faults, ...counts } = figuresOf(history)
  console.log(`\n${JSON.stringify(counts)}`)
  console.log(`kill → last acceptance: p50 ${kill.p50} ms, p99 ${kill.p99} ms, most ${kill.most} ms`)
  for (const { what, refused, recoveryMs } of faults)
    console.log(`${what}: ${refused} refused, ${recoveryMs} ms to recover`)
  const broken = violations(history)
  for (const { law, says, happenings } of broken)
    console.error(`BROKEN ${law}: ${says}\n  ${JSON.stringify(happenings)}`)
  console.log(broken.length === 0 ? 'every law held' : `${broken.length} times a law was broken`)
  return broken.length === 0
}

async function run(topology: Topology, seed: number): Promise<boolean> {
  console.log(`\n${topology}, seed ${seed}`)
  const options = { seed, topology, rounds: Number(values.rounds), callers: Number(values.callers) }
  const history = await runChaos({ ...options, progress: (text) => console.log(`  ${text}`) })
  const path = join(tmpdir(), `errand-chaos-${topology}-${seed}.jsonl`)
  writeHistory(path, history)
  console.log(`kept: ${path}`)
  return judge(history)
}

async function main(): Promise<number> {
  if (values.judge !== undefined) return judge(readHistory(values.judge)) ? 0 : 1
  const missing = ensureRedisServer()
  if (missing !== undefined) throw new Error(missing)
  const named = Object.keys(TOPOLOGIES).filter((name) => values.topology === undefined || name === values.topology)
  if (named.length === 0) throw new Error(`--topology is one of ${Object.keys(TOPOLOGIES).join(', ')}`)
  const seed = Number(values.seed ?? randomInt(2 ** 31))
  let held = true
  for (const topology of named) held = (await run(topology as Topology, seed)) && held
  return held ? 0 : 1
}

process.exit(await main())
