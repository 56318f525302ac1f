/**
 * Revoke against mint through the whole broker, until on each store 3 000 mints were under way while a revoke of their
 * session was: session after session, each with 30 mints, ten at a time, and one revoke among them. Whatever was handed out, before or after, must be dead once the revoke has answered (DESIGN §5 step 8).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Fleet, startFleet } from '../support/broker-process.ts'
import { whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { claimsOf, startWorld, TYPE, type World } from '../support/world.ts'

const RACES = 3_000
const SESSIONS_MAX = 500
const MINTS = 30
const IN_FLIGHT = 10

/** Ways to end a session. Each must leave nothing alive; they differ in who asks and in which slot is written how. */
const REVOKES: Readonly<Record<string, (broker: World, session: string) => Promise<number>>> = {
  'the agent revokes its session token': async (broker, session) => (await broker.revoke(session)).status,
  'the agent closes the session': async (broker, session) => {
    const token = await broker.apiToken()
    return (await broker.bearer(`/sessions/${claimsOf(session)['sid']}`, token, 'DELETE')).status
  },
  'the user revokes the session': async (broker, session) => {
    // Signed in as the session's own user, at the broker itself.
    const sub = String(claimsOf(session)['sub']).slice('user:corp:'.length)
    return (await broker.bearer(`/sessions/${claimsOf(session)['sid']}`, broker.userToken(sub), 'DELETE')).status
  },
}

interface Outcome {
  readonly granted: readonly string[]
  readonly refused: readonly string[]
  /** Mints that were under way while the revoke was. */
  readonly raced: number
}

/** @param revokeAt how many mints have been answered when the revoke is sent */
async function race(minters: readonly World[], revoker: World, session: string, revokeAt: number): Promise<Outcome> {
  const granted: string[] = []
  const refused: string[] = []
  const spans: { readonly begun: number; readonly ended: number; readonly granted: boolean }[] = []
  let sent = 0
  let sendRevoke: () => void = () => undefined
  const due = new Promise<void>((resolve) => {
    sendRevoke = resolve
  })
  const ways = Object.entries(REVOKES)
  const [name, revoke] = ways[revokeAt % ways.length] ?? []
  const revoking = due.then(async () => {
    const begun = performance.now()
    const { status } = await whenReady(async () => ({ status: (await revoke?.(revoker, session)) ?? 0 }))
    return { status, begun, ended: performance.now() }
  })
  const worker = async (at: number) => {
    const minter = minters[at % minters.length] as World
    while (sent < MINTS) {
      sent += 1
      let begun = 0
      const answer = await whenReady(() => {
        begun = performance.now()
        return minter.continue(session)
      })
      spans.push({ begun, ended: performance.now(), granted: answer.status === 200 })
      if (spans.length >= revokeAt) sendRevoke()
      if (answer.status === 200) granted.push(answer.body.access_token)
      else refused.push(answer.body.error_reason)
    }
  }
  if (revokeAt === 0) sendRevoke()
  await Promise.all(Array.from({ length: IN_FLIGHT }, (_, at) => worker(at)))
  const revoked = await revoking
  expect([name, revoked.status]).toEqual([name, 200])
  expect(spans.filter((span) => span.granted && span.begun > revoked.ended)).toEqual([])
  const raced = spans.filter((span) => span.begun < revoked.ended && span.ended > revoked.begun).length
  return { granted, refused, raced }
}

async function raceAll(minters: readonly World[], revokers: readonly World[]): Promise<void> {
  const [first] = minters as [World]
  let granted = 0
  let refused = 0
  let mixed = 0
  let raced = 0
  let round = 0
  for (; raced < RACES && round < SESSIONS_MAX; round += 1) {
    const subject_token = first.idToken({ sub: `racer-${round}` })
    const opened = await whenReady(() => first.open({ subject_token, subject_token_type: TYPE.id }))
    expect(opened.status, JSON.stringify(opened.body)).toBe(200)
    const session: string = opened.body.access_token
    const outcome = await race(
      minters,
      revokers[round % revokers.length] as World,
      session,
      round % (MINTS - IN_FLIGHT),
    )
    granted += outcome.granted.length
    refused += outcome.refused.length
    raced += outcome.raced
    if (outcome.granted.length > 0 && outcome.refused.length > 0) mixed += 1
    for (const reason of outcome.refused) {
      expect(reason).toMatch(/^(session_not_issuing|subject_token_revoked)$/)
    }
    for (const broker of minters) {
      const answers = await Promise.all(outcome.granted.map((token) => whenReady(() => broker.introspect(token))))
      expect(answers.map((answer) => answer.body)).toEqual(outcome.granted.map(() => ({ active: false })))
      expect((await whenReady(() => broker.continue(session))).status).toBe(400)
    }
  }
  console.log({ sessions: round, granted, refused, sessionsWithBoth: mixed, mintsUnderWayDuringTheRevoke: raced })
  expect(granted + refused).toBe(round * MINTS)
  // Revoke and mint did overlap, and the revoke came neither before nor after all of them: otherwise nothing was tested.
  expect(raced).toBeGreaterThanOrEqual(RACES)
  expect(mixed).toBeGreaterThan(round / 4)
}

/** A user's revoke also bars the pair from opening again with evidence of that time: one user per session. */
function withRacers(document: Readonly<Record<string, unknown>>) {
  const racers = Array.from({ length: SESSIONS_MAX }, (_, at) => ({
    issuer: 'corp',
    sub: `racer-${at}`,
    groups: ['finance'],
  }))
  return { ...document, users: racers }
}

describe('embedded', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld({ realClock: true, registry: { users: withRacers({}).users } })
  })
  afterAll(() => world?.close())

  test('no token that was handed out outlives the revoke it raced with', () => raceAll([world], [world]))
})

describe('two processes on one Redis', () => {
  let redis: RunningRedis
  let fleet: Fleet
  beforeAll(async () => {
    redis = await startRedis()
    fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url }, registry: withRacers }))
  })
  afterAll(async () => {
    await fleet?.close()
    await redis?.stop()
  })

  test('no token that either handed out outlives the revoke it raced with, whichever was told to revoke', async () => {
    const brokers = await Promise.all([fleet.start(), fleet.start()])
    await raceAll(brokers, brokers)
  })
})
