/**
 * One run: three brokers behind a load balancer on a store that fails, two verifiers, callers who go on whatever happens; and one
 * fault after another, chosen by the seed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { Chance } from '../support/chance.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { startVerifier } from '../support/remote-verifier.ts'
import { Caller, type NamedVerifier, type Stage } from './callers.ts'
import type { Bounds, Happening, History } from './history.ts'
import { startLoadBalancer } from './load-balancer.ts'
import { type ChaosStore, type StoreFault, startClusterStore, startSentinelStore } from './topologies.ts'

export const TOPOLOGIES = { sentinel: startSentinelStore, cluster: startClusterStore } as const
export type Topology = keyof typeof TOPOLOGIES

export interface RunOptions {
  readonly seed: number
  readonly topology: Topology
  readonly rounds: number
  readonly callers?: number
  /** Told of each fault and of each recovery. */
  readonly progress?: (text: string) => void
}

const BROKERS = 3
const STEADY_MS = 700
const REVOKES_IN_STEADY_TIMES = 2
/** What is down for longer than this after its fault was healed does not return by itself. */
const RECOVERY_MS_MAX = 2 * PATIENCE_MS
/**
 * A broker that has not confirmed its view for 2 s issues nothing and answers nobody, a verifier that follows the feed believes
 * nothing after 5 s; and what is asked in the last moment takes its time.
 */
const BOUNDS: Bounds = { brokerMs: 2_500, verifierMs: { introspection: 2_500, feed: 5_500 } }

interface Running {
  readonly fleet: Fleet
  readonly brokers: BrokerProcess[]
  readonly chance: Chance
  readonly progress: (text: string) => void
  keep(happening: Happening): void
  now(): number
  /** Acknowledged until now. */
  revokes(): number
  serve(): void
}

export async function runChaos(options: RunOptions): Promise<History> {
  const { seed, topology } = options
  const chance = new Chance(seed)
  const chaos = await TOPOLOGIES[topology]()
  const balancer = await startLoadBalancer()
  const fleet = await startFleet(() => ({ store: chaos.store, settings: { issuer: balancer.url } }))
  const happenings: Happening[] = []
  const begun = performance.now()
  const now = () => performance.now() - begun
  const brokers: BrokerProcess[] = []
  const serve = () => balancer.serve(brokers.map(({ url }) => Number(new URL(url).port)))
  const verifiers = (['introspection', 'feed'] as const).map((name) => ({ name, ...startVerifier(balancer.url, name) }))
  const running: Running = {
    fleet,
    brokers,
    chance: chance.fork(),
    progress: options.progress ?? (() => undefined),
    keep: (happening) => void happenings.push(happening),
    now,
    revokes: () => happenings.filter(({ kind }) => kind === 'revoked').length,
    serve,
  }
  const stage = stageOf(running, verifiers)
  try {
    for (let n = 0; n < BROKERS; n++) brokers.push(await fleet.start())
    serve()
    await Promise.all(verifiers.map(({ ready }) => ready))
    const callers = Array.from({ length: options.callers ?? 4 }, () => new Caller(stage, chance.fork()))
    const work = Promise.all(callers.map((caller) => caller.work()))
    await rounds(options.rounds, chaos, running)
    stage.end()
    await work
  } finally {
    stage.end()
    await Promise.all(verifiers.map((verifier) => verifier.close()))
    await fleet.close()
    await balancer.close()
    await chaos.stop()
  }
  return { seed, topology, bounds: BOUNDS, happenings }
}

function stageOf(running: Running, verifiers: readonly NamedVerifier[]): Stage & { end(): void } {
  let isOver = false
  let token: Promise<string> | undefined
  return {
    get brokers() {
      return running.brokers
    },
    verifiers,
    // Brokers make the keys when they start.
    managementToken: () => {
      token ??= running.fleet.managementToken()
      return token
    },
    now: running.now,
    keep: running.keep,
    get isOver() {
      return isOver
    },
    end: () => {
      isOver = true
    },
  }
}

async function rounds(count: number, chaos: ChaosStore, running: Running): Promise<void> {
  // Each once before any twice: a short run, too, meets most of them.
  let left: StoreFault[] = []
  for (let round = 0; round < count; round++) {
    if (left.length === 0) left = [...chaos.faults, ...brokerFaults(running)]
    const fault = running.chance.pick(left)
    left = left.filter((one) => one !== fault)
    if (!(await steady(running))) return
    const at = running.now()
    running.keep({ kind: 'fault', at, what: fault.name })
    running.progress(`${fault.name} …`)
    const heal = await fault.strike()
    await heal()
    running.keep({ kind: 'healed', at: running.now(), what: fault.name })
    const returnedMs = await returned(running)
    if (returnedMs === undefined) {
      running.progress('… and not every broker came back')
      return
    }
    running.progress(
      `… healed after ${Math.round(running.now() - at - returnedMs)} ms, back ${Math.round(returnedMs)} ms later`,
    )
  }
  await steady(running)
}

/** For a while nothing happens to the store, and that while is long enough for sessions to be opened, used and revoked. */
async function steady({ keep, now, revokes }: Running): Promise<boolean> {
  const begun = now()
  const before = revokes()
  await sleep(STEADY_MS)
  while (revokes() < before + REVOKES_IN_STEADY_TIMES) {
    if (now() - begun > RECOVERY_MS_MAX) {
      keep({ kind: 'not_back', at: now(), what: 'nobody has revoked anything' })
      return false
    }
    await sleep(25)
  }
  return true
}

/** Until every broker opens a session again; nobody does anything to it meanwhile. `undefined`: one does not. */
async function returned({ brokers, now, keep }: Running): Promise<number | undefined> {
  const begun = now()
  const all = await Promise.all(
    brokers.map(async (broker) => {
      for (;;) {
        const answer = await broker.open().catch(() => undefined)
        if (answer?.status === 200) return true
        if (now() - begun > RECOVERY_MS_MAX) {
          keep({ kind: 'not_back', at: now(), what: `${answer?.status} ${JSON.stringify(answer?.body)}` })
          return false
        }
        await sleep(25)
      }
    }),
  )
  return all.includes(false) ? undefined : now() - begun
}

function brokerFaults(running: Running): readonly StoreFault[] {
  const { fleet, brokers, chance, serve } = running
  return [
    {
      name: 'a broker is killed',
      async strike() {
        const at = chance.below(brokers.length)
        await brokers[at]?.kill()
        return async () => {
          brokers[at] = await fleet.start()
          serve()
        }
      },
    },
    {
      name: 'a broker stands still',
      async strike() {
        const broker = chance.pick(brokers)
        broker.pause()
        return async () => {
          await sleep(3_000)
          broker.resume()
        }
      },
    },
  ]
}
