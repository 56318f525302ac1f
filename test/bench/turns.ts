/** Rounds in which systems take turns, so that a busy minute of the machine hits all of them alike. */
import type { Output } from './output.ts'
import type { Workload } from './requests.ts'
import type { Bench, Round, Runner } from './systems.ts'

export interface TurnOptions {
  readonly rounds: number
  /** Of one turn. */
  readonly exchanges: number
  /** Before the first round, of each system; not measured. */
  readonly warmup: number
}

/** A system on its turn. */
export interface Turn {
  /** What its figures are called. */
  readonly label: string
  readonly runner: Runner
  readonly workload: Workload
  /** *continue*: agents in the chain of the session tokens. */
  readonly depth?: number
}

/** Session tokens that *continue* uses in turn, opened anew for each turn. */
const HANDLES_MAX = 200

/** The rounds of each turn, by its label. */
export async function takeTurns(
  bench: Bench,
  turns: readonly Turn[],
  options: TurnOptions,
  output: Output,
): Promise<ReadonlyMap<string, readonly Round[]>> {
  const { rounds, exchanges, warmup } = options
  const measured = new Map<string, Round[]>(turns.map(({ label }) => [label, []]))
  const scenes = new Set(turns.map(({ runner }) => runner.target.scene))
  for (const scene of scenes) await bench.generator.call('prepareFirstSight', { scene, count: warmup })
  for (const { runner, workload } of turns) if (workload === 'open') await bench.measure(runner, workload, warmup)
  for (let round = -1; round < rounds; round += 1) {
    const count = round < 0 ? warmup : exchanges
    // Each system is first once in a while: whatever being first means, it means it for all.
    const start = Math.max(0, round) % turns.length
    for (const scene of scenes) await prepare(bench, scene, turns, count)
    for (const turn of [...turns.slice(start), ...turns.slice(0, start)]) {
      output.progress(`${round < 0 ? 'warming up' : `round ${round + 1} of ${rounds}`}: ${turn.label}`)
      const taken = await take(bench, turn, count)
      if (round >= 0) measured.get(turn.label)?.push(taken)
    }
  }
  return measured
}

/** The same requests for all turns of a scene: those that exchange ID tokens ask for one workload at a time. */
async function prepare(bench: Bench, scene: string, turns: readonly Turn[], count: number): Promise<void> {
  const workload = turns.find((turn) => turn.runner.target.scene === scene && turn.workload !== 'continue')?.workload
  if (workload !== undefined) await bench.generator.call('prepare', { scene, workload, count })
}

async function take(bench: Bench, { runner, workload, depth = 1 }: Turn, count: number): Promise<Round> {
  if (workload === 'continue') {
    const { target } = runner
    await bench.generator.call('openHandles', { target, count: Math.min(HANDLES_MAX, count), depth })
  }
  return bench.measure(runner, workload, count)
}
