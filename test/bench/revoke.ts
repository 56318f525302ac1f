/**
 * `bench revoke`: how long a revoked token is still believed by servers that follow the feed, and by those that introspect, from
 * the moment somebody asks for it to be revoked; whether that depends on how much dies by it; and what revocations and sessions
 * take of memory.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { CutoffSet } from '../../src/authority/cutoffs.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { newJti, type SessionId } from '../../src/kernel/ids.ts'
import { FIELD } from '../../src/sessions/session-record.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { startLoadBalancer } from '../chaos/load-balancer.ts'
import { type BrokerProcess, startFleet } from '../support/broker-process.ts'
import { granted } from '../support/hops.ts'
import { startRedis } from '../support/redis.ts'
import { type RemoteVerifier, startVerifier } from '../support/remote-verifier.ts'
import { cutoffsMib } from './cutoff-memory.ts'
import { atMost, environment, type Goals, median, percentile, rounded } from './figures.ts'
import { goalTable, type Output, table } from './output.ts'
import { readTemplate, writeCopies } from './session-copies.ts'

export interface RevokeOptions {
  readonly rounds: number
  /** Live sessions of which the bytes are measured. */
  readonly sessions: number
}

interface Kills {
  readonly p50_ms: number
  readonly p99_ms: number
  readonly most_ms: number
  /** The request by itself. */
  readonly answered_p50_ms: number
  readonly kills: number
}

const KILLS_PER_ROUND = 25
/** How often each verifier is asked whether it still believes the token. */
const ASKED_EVERY_MS = 2
const FEW_TOKENS = 10
const MANY_TOKENS = 100_000
const HELD_CUTOFFS = 100_000
const CHUNK = 20_000
const LOOKUPS = 10_000
/** Together: one alone is shorter than the clock is fine. */
const LOOKUPS_TIMED = 20

export async function revoke(options: RevokeOptions, output: Output): Promise<unknown> {
  const one = await measureKills({ brokers: 1, verifiers: 1, hears: 'feed' }, options, output)
  const four = await measureKills({ brokers: 4, verifiers: 8, hears: 'feed' }, options, output)
  const asking = await measureKills({ brokers: 4, verifiers: 2, hears: 'introspection' }, options, output)
  output.progress('cut-offs')
  const mib = cutoffsMib('hashed', HELD_CUTOFFS)
  const lookup = { few: lookupP99Us(10), many: lookupP99Us(HELD_CUTOFFS) }
  const goals: Goals = {
    kill_p99_ms_1_broker: atMost(one.kills.p99_ms, 100),
    kill_p99_ms_4_brokers: atMost(four.kills.p99_ms, 250),
    revoke_growth: atMost(one.growth, 1.2),
    session_bytes: atMost(one.sessionBytes, 1_024),
    cutoffs_mib: atMost(mib, 32),
  }
  const figures = {
    '1 broker, 1 verifier': one.kills,
    '4 brokers, 8 verifiers': four.kills,
    '4 brokers, 2 that introspect': asking.kills,
  }
  const rows = Object.entries(figures).map(([name, { p50_ms, p99_ms, most_ms, answered_p50_ms }]) => {
    return [name, p50_ms, p99_ms, most_ms, answered_p50_ms]
  })
  output.say(table([['kill to last refusal, ms', 'p50', 'p99', 'most', 'answered p50'], ...rows]))
  output.say(
    `\nlook-up among 10 and ${HELD_CUTOFFS} cut-offs: p99 ${lookup.few} and ${lookup.many} µs\n\n${goalTable(goals)}`,
  )
  return {
    bench: 'revoke',
    environment: environment(),
    figures,
    lookup_p99_us: lookup,
    sessions: options.sessions,
    goals,
  }
}

interface Scene {
  readonly brokers: readonly BrokerProcess[]
  readonly verifiers: readonly RemoteVerifier[]
  readonly storeUrl: string
}

async function measureKills(
  counts: { readonly brokers: number; readonly verifiers: number; readonly hears: 'feed' | 'introspection' },
  { rounds, sessions }: RevokeOptions,
  output: Output,
): Promise<{ readonly kills: Kills; readonly growth: number; readonly sessionBytes: number }> {
  const redis = await startRedis({ args: ['--appendonly', 'yes'] })
  const balancer = await startLoadBalancer()
  const fleet = await startFleet(() => ({
    store: { kind: 'redis', url: redis.url },
    settings: { issuer: balancer.url },
  }))
  const verifiers: RemoteVerifier[] = []
  try {
    const brokers: BrokerProcess[] = []
    for (let n = 0; n < counts.brokers; n++) brokers.push(await fleet.start())
    balancer.serve(brokers.map(({ url }) => Number(new URL(url).port)))
    for (let n = 0; n < counts.verifiers; n++) verifiers.push(startVerifier(balancer.url, counts.hears))
    await Promise.all(verifiers.map(({ ready }) => ready))
    const scene = { brokers, verifiers, storeUrl: redis.url }
    const label = `${counts.brokers} brokers, ${counts.verifiers} verifiers`
    const kills = await killed(scene, rounds * KILLS_PER_ROUND, (n) => output.progress(`${label}: ${n} kills`))
    if (counts.brokers > 1) return { kills, growth: 1, sessionBytes: 0 }
    const store = await openStore({ kind: 'redis', url: redis.url, org: 'default' })
    try {
      const growth = await growthOf(scene, store, rounds)
      return { kills, growth, sessionBytes: await sessionBytes(scene, store, sessions, output) }
    } finally {
      await store.close()
    }
  } finally {
    await Promise.all(verifiers.map((verifier) => verifier.close()))
    await fleet.close()
    await balancer.close()
    await redis.stop()
  }
}

/** One session after another: a token of it believed everywhere, then revoked at one broker, and watched at every verifier. */
async function killed(scene: Scene, count: number, progress: (done: number) => void): Promise<Kills> {
  const { brokers, verifiers } = scene
  const [deaths, answers]: [number[], number[]] = [[], []]
  for (let n = 0; n < count; n++) {
    progress(n)
    const [opening, revoking] = [brokers[n % brokers.length], brokers[(n + 1) % brokers.length]]
    if (opening === undefined || revoking === undefined) throw new Error('there is no broker')
    const session = await granted(opening.open())
    const { token } = await granted(opening.continue(session.token))
    const before = await Promise.all(verifiers.map((verifier) => verifier.verify(token)))
    if (before.some((verdict) => verdict !== 'accepted')) throw new Error(`a live token was not accepted: ${before}`)
    const watched = Promise.all(verifiers.map((verifier) => verifier.refusedAt(token, ASKED_EVERY_MS)))
    await sleep(10)
    const begunAt = performance.timeOrigin + performance.now()
    const { status, body } = await revoking.revoke(session.token)
    if (status !== 200) throw new Error(`a revocation was refused: ${status} ${JSON.stringify(body)}`)
    answers.push(performance.timeOrigin + performance.now() - begunAt)
    deaths.push(Math.max(...(await watched)) - begunAt)
  }
  const at = (share: number) => rounded(percentile(Float64Array.from(deaths), share), 1)
  return {
    p50_ms: at(0.5),
    p99_ms: at(0.99),
    most_ms: at(1),
    answered_p50_ms: rounded(median(answers), 1),
    kills: count,
  }
}

/** Sessions with few and with many tokens, revoked in turns: the ratio of the times their revocations take. */
async function growthOf({ brokers: [broker] }: Scene, store: Store, rounds: number): Promise<number> {
  if (broker === undefined) throw new Error('there is no broker')
  const times = { few: [] as number[], many: [] as number[] }
  for (let n = 0; n < rounds * KILLS_PER_ROUND * 2; n++) {
    const [which, tokens] = n % 2 === 0 ? (['few', FEW_TOKENS] as const) : (['many', MANY_TOKENS] as const)
    const { token, claims } = await granted(broker.open())
    await giveTokens(store, claims.sid as SessionId, String(claims.anc.at(-1)), tokens)
    const begun = performance.now()
    const { status, body } = await broker.revoke(token)
    times[which].push(performance.now() - begun)
    if (status !== 200 || !JSON.stringify(body).includes(`"tokens":${tokens}`)) {
      throw new Error(`not all died: ${status} ${JSON.stringify(body)}`)
    }
  }
  return median(times.many) / median(times.few)
}

/** Counted as issuing counts them: tokens are not kept one by one. */
async function giveTokens(store: Store, session: SessionId, node: string, count: number): Promise<void> {
  const outcome = await store.sessions.commit({
    session,
    id: newJti(),
    checks: [{ check: 'present', field: FIELD.facts }],
    operations: [{ operation: 'increment', field: FIELD.leaves(node), by: count }],
    expiresAtMs: systemClock.nowMs() + 3_600_000,
    audit: undefined,
  })
  if (!outcome.committed) throw new Error('the session is not there')
}

/** Of so many live sessions, with their places in every list. */
async function sessionBytes(scene: Scene, store: Store, count: number, output: Output): Promise<number> {
  const [broker] = scene.brokers
  if (broker === undefined) throw new Error('there is no broker')
  const { claims } = await granted(broker.open())
  const template = await readTemplate(store, claims.sid, claims.anc[0])
  const before = await usedMemory(scene.storeUrl)
  for (let written = 0; written < count; written += CHUNK) {
    output.progress(`${written} of ${count} sessions written`)
    await writeCopies(store, template, Math.min(CHUNK, count - written), systemClock)
  }
  return Math.round(((await usedMemory(scene.storeUrl)) - before) / count)
}

async function usedMemory(url: string): Promise<number> {
  const redis = new Redis(url)
  const memory = await redis.info('memory')
  redis.disconnect()
  return Number(/used_memory:([0-9]+)/.exec(memory)?.[1])
}

/** Of a token with a chain of three that nothing kills: every look-up there is. */
function lookupP99Us(held: number): number {
  const set = new CutoffSet()
  for (let n = 0; n < held; n++) {
    set.apply({ entry: 'cutoff', dimension: 'node', id: `nod_${n}`, seq: n + 1, atMs: n + 1, expiresAtMs: n + 9e9 })
  }
  const facts = {
    rv: 9e9,
    nodes: ['a', 'b', 'c', 'd'],
    agents: ['x', 'y', 'z'],
    versions: [],
    session: 's',
    accessToken: true,
  } as const
  const taken = Float64Array.from({ length: LOOKUPS }, () => {
    const begun = performance.now()
    for (let n = 0; n < LOOKUPS_TIMED; n++) {
      if (set.killing(facts) !== undefined) throw new Error('killed by nothing')
    }
    return ((performance.now() - begun) * 1_000) / LOOKUPS_TIMED
  })
  return rounded(percentile(taken.slice(LOOKUPS / 10), 0.99), 2)
}
