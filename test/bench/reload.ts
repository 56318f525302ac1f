/**
 * For how long a broker answers nothing while it loads a policy of 100 000 grants that another broker has published: the
 * longest delay of its event loop, with agents asking it for tokens all the while; beside it, the same without a load.
 */
import { type Company, makeCompany, registryOf, USUAL_SIZE } from './company.ts'
import { median, rounded } from './figures.ts'
import type { Output } from './output.ts'
import type { Pause } from './systems/errand.ts'
import { Bench, type Runner } from './systems.ts'

export interface ReloadOptions {
  /** Of the version that is loaded. */
  readonly grants: number
  readonly agents: number
  readonly rounds: number
}

export interface ReloadFigures {
  readonly grants: number
  /** The longest delay of the event loop: of each load, and of a second without one before it. */
  readonly pauses_ms: readonly number[]
  readonly quiet_pauses_ms: readonly number[]
  /** Of each load, the most that the main thread worked between two turns of its timers. */
  readonly cpu_pauses_ms: readonly number[]
  /** From the order to publish to where both brokers decide by the new version; the median. */
  readonly publish_and_load_ms: number
}

const TOOLS = ['query', 'list', 'get', 'search', 'create']
const ROUNDS_MAX = 3
const INTENT_TOOLS = 3
const SESSIONS = 50
const PER_SECOND = 50
const CONNECTIONS = 4
/** Before the first is measured, so that no code runs for the first time. */
const WARM_UP = 1_000

export async function reload({ grants, agents, rounds }: ReloadOptions, output: Output): Promise<ReloadFigures> {
  const bench = await Bench.start(CONNECTIONS)
  try {
    const scene = { name: 'usual', company: makeCompany(USUAL_SIZE) }
    const { idp } = await bench.meet(scene, INTENT_TOOLS)
    const store = { kind: 'redis', url: (await bench.redis()).url } as const
    // Of one name, and so with the same keys.
    const loads = await bench.errand('broker', scene, store)
    const publishes = await bench.errand('broker', scene, store)
    await bench.generator.call('openHandles', { target: loads.target, count: SESSIONS, depth: 1 })
    await bench.measure(loads, 'continue', WARM_UP)
    const document = registryOf(scene.company, idp.issuer)
    const [pauses, quiet, durations]: [Pause[], Pause[], number[]] = [[], [], []]
    for (let round = 0; round < Math.min(rounds, ROUNDS_MAX); round += 1) {
      output.progress(`reload ${round + 1} of a policy of ${grants} grants`)
      // Each a version of its own.
      const next = enlarged(document, { agents: agents + round, grants: unconcerned(scene.company, grants) })
      quiet.push(await longestPause(bench, loads, async () => undefined))
      const begun = performance.now()
      const pause = await longestPause(bench, loads, async () => {
        const version = await publishes.process.call<string>('publish', next)
        await loads.process.call('decidesBy', version)
        durations.push(performance.now() - begun)
      })
      pauses.push(pause)
    }
    const publish_and_load_ms = rounded(median(durations), 0)
    return {
      grants,
      pauses_ms: pauses.map(({ ms }) => ms),
      quiet_pauses_ms: quiet.map(({ ms }) => ms),
      cpu_pauses_ms: pauses.map(({ cpuMs }) => cpuMs),
      publish_and_load_ms,
    }
  } finally {
    await bench.close()
  }
}

/** Of the broker's event loop, with requests until the work is done and for a second after it. */
async function longestPause(bench: Bench, runner: Runner, work: () => Promise<void>): Promise<Pause> {
  await runner.process.call('watchLoop')
  const state = { isDone: false }
  const done = work().finally(() => {
    state.isDone = true
  })
  for (let isLast = false; !isLast; ) {
    isLast = state.isDone
    await bench.measure(runner, 'continue', PER_SECOND, PER_SECOND)
  }
  await done
  const { ms, cpuMs } = await runner.process.call<Pause>('longestPause')
  return { ms: rounded(ms, 1), cpuMs: rounded(cpuMs, 1) }
}

/** As the policy of the company, with that many agents more, like its first, and grants. */
function enlarged(
  document: Readonly<Record<string, unknown>>,
  more: { readonly agents: number; readonly grants: readonly object[] },
): unknown {
  const [agents, grants] = [document.agents, document.grants] as readonly object[][]
  const others = Array.from({ length: more.agents }, (_, n) => ({
    ...agents?.[0],
    client_id: `other-agent-${n}`,
    delegates: [],
    upstream: {},
  }))
  return { ...document, agents: [...(agents ?? []), ...others], grants: [...(grants ?? []), ...more.grants] }
}

/** Grants to nobody who asks, at servers that they ask for. */
function unconcerned({ resources }: Company, count: number): readonly object[] {
  return Array.from({ length: count }, (_, n) => ({
    id: `more-${n}`,
    effect: n % 10 === 0 ? 'deny' : 'allow',
    principals: [n % 2 === 0 ? { group: `other-${n % 5_000}` } : { role: `other-${n % 5_000}` }],
    resources: [{ server: resources[n % resources.length]?.id, tool: TOOLS[n % TOOLS.length] }],
    reason: 'bench',
  }))
}
