/**
 * For how long brokers answer nothing while a policy of 100 000 grants takes the place of another: the longest delay of the
 * event loop of the broker at whose admin API it is published, and of another that loads it from the store. Agents ask both of
 * them for tokens all the while. Beside each, the same without a publication; and how much of it was not the wait for a
 * processor, of which a machine of two has fewer than the bench has processes.
 */
import { type Company, makeCompany, registryOf, USUAL_SIZE } from './company.ts'
import { median, rounded } from './figures.ts'
import type { Output } from './output.ts'
import type { Pause } from './systems/errand.ts'
import { Bench, type Runner } from './systems.ts'

export interface ReloadOptions {
  /** Of the version that is published. */
  readonly grants: number
  readonly agents: number
  readonly rounds: number
}

/** Of each round. */
export interface Pauses {
  /** The longest delay of the event loop. */
  readonly pauses_ms: readonly number[]
  /** The longest that was not spent waiting for a processor. */
  readonly own_pauses_ms: readonly number[]
  /** Both, of a second before it, in which nothing is published. */
  readonly quiet_pauses_ms: readonly number[]
  readonly quiet_own_pauses_ms: readonly number[]
}

export interface ReloadFigures {
  readonly grants: number
  readonly publishing: Pauses
  readonly loading: Pauses
  /** From the request to publish to where both brokers decide by the new version; the median. */
  readonly publish_and_load_ms: number
}

const TOOLS = ['query', 'list', 'get', 'search', 'create']
const ROUNDS_MAX = 5
const INTENT_TOOLS = 3
const SESSIONS = 50
const PER_SECOND = 50
const CONNECTIONS = 4
/** Before the first is measured, so that no code runs for the first time. */
const WARM_UP = 300

export async function reload({ grants, agents, rounds }: ReloadOptions, output: Output): Promise<ReloadFigures> {
  const bench = await Bench.start(CONNECTIONS)
  try {
    const scene = { name: 'usual', company: makeCompany(USUAL_SIZE) }
    const { idp } = await bench.meet(scene, INTENT_TOOLS)
    const store = { kind: 'redis', url: (await bench.redis()).url } as const
    // Of one name, and so with the same keys and sessions.
    const publishes = await bench.errand('broker', scene, store)
    const loads = await bench.errand('broker', scene, store)
    const brokers = [publishes, loads]
    await bench.generator.call('openHandles', { target: loads.target, count: SESSIONS, depth: 1 })
    for (const broker of brokers) await bench.measure(broker, 'continue', WARM_UP)
    const small = registryOf(scene.company, idp.issuer)
    const taken: { readonly quiet: readonly Pause[]; readonly busy: readonly Pause[]; readonly ms: number }[] = []
    for (let round = 0; round < Math.min(rounds, ROUNDS_MAX); round += 1) {
      output.progress(`reload ${round + 1} of a policy of ${grants} grants`)
      // In place of the small one; later, in place of one as large. To take agents away would end the sessions.
      const large = enlarged(small, { agents: agents + round, grants: unconcerned(scene.company, grants) })
      const quiet = await longestPauses(bench, brokers, async () => undefined)
      const begun = { at: 0, ms: 0 }
      const busy = await longestPauses(bench, brokers, async () => {
        begun.at = performance.now()
        await publish(brokers, large)
        begun.ms = performance.now() - begun.at
      })
      taken.push({ quiet, busy, ms: begun.ms })
    }
    const of = (at: number): Pauses => ({
      pauses_ms: taken.map(({ busy }) => rounded(busy[at]?.ms ?? 0, 1)),
      own_pauses_ms: taken.map(({ busy }) => rounded(busy[at]?.ownMs ?? 0, 1)),
      quiet_pauses_ms: taken.map(({ quiet }) => rounded(quiet[at]?.ms ?? 0, 1)),
      quiet_own_pauses_ms: taken.map(({ quiet }) => rounded(quiet[at]?.ownMs ?? 0, 1)),
    })
    const publish_and_load_ms = rounded(median(taken.map(({ ms }) => ms)), 0)
    return { grants, publishing: of(0), loading: of(1), publish_and_load_ms }
  } finally {
    await bench.close()
  }
}

/** At the first of them, over its admin API; to where all of them decide by it. */
async function publish(brokers: readonly Runner[], document: unknown): Promise<void> {
  const [publishes] = brokers
  if (publishes === undefined) throw new Error('there is no broker')
  const token = await publishes.process.call<string>('managementToken')
  const answer = await fetch(`http://127.0.0.1:${publishes.target.port}/admin/v1/policy`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
    body: JSON.stringify({ files: [{ name: 'bench.yaml', document }] }),
  })
  const text = await answer.text()
  if (answer.status !== 200) throw new Error(`not published: ${answer.status} ${text.slice(0, 500)}`)
  const { version } = JSON.parse(text) as { readonly version: string }
  await Promise.all(brokers.map((broker) => broker.process.call('decidesBy', version)))
}

/** Of each broker's event loop, with requests until the work is done and for a second after it. */
async function longestPauses(
  bench: Bench,
  brokers: readonly Runner[],
  work: () => Promise<void>,
): Promise<readonly Pause[]> {
  await Promise.all(brokers.map(({ process }) => process.call('watchLoop')))
  const state = { isDone: false }
  const done = work().finally(() => {
    state.isDone = true
  })
  // Where the requests fail first, that is what is reported.
  done.catch(() => undefined)
  for (let isLast = false; !isLast; ) {
    isLast = state.isDone
    await Promise.all(brokers.map((broker) => bench.measure(broker, 'continue', PER_SECOND, PER_SECOND)))
  }
  await done
  return Promise.all(brokers.map(({ process }) => process.call<Pause>('longestPause')))
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
