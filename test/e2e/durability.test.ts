/**
 * A broker on its own directory, killed with SIGKILL under load, again and again: what it has answered is so. No revoke it
 * acknowledged is forgotten, no session it opened is lost, nothing single-use is usable twice, and no token was ever handed
 * out without its session's record and its audit record on disk.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import type { SessionId } from '../../src/kernel/ids.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { whenReady } from '../support/patience.ts'
import { type Answer, claimsOf, DELEGATED, INTENT, type Params, patient, TYPE, WAREHOUSE } from '../support/world.ts'

const KILLS = 5
const WORKERS = 6
const ANSWERS_BEFORE_KILL = 120

/** What was answered before the kill: each entry was promised. */
interface Promised {
  /** Every 200 that carried a token or reported a revoke. */
  readonly granted: Answer[]
  readonly sessions: string[]
  readonly tokens: string[]
  /** Sessions and tokens whose revoke was acknowledged. */
  readonly revoked: Set<string>
  /** Asked, not answered: either way is right. */
  readonly unknown: Set<string>
  readonly accepted: string[]
  readonly spent: { readonly path: string; readonly params: Params }[]
}

let fleet: Fleet
let directory = ''

beforeAll(async () => {
  fleet = await startFleet((own) => {
    directory = join(own, 'store')
    return { store: { kind: 'embedded', directory } }
  })
})
afterAll(() => fleet?.close())

/** Answered 503, as a broker may on a machine that does other things as well: nothing was promised. */
class Later extends Error {}

/** Works until the broker is gone. */
async function work(broker: BrokerProcess, promised: Promised, answered: () => void): Promise<void> {
  const ask = async (path: string, client: string, params: Params): Promise<Answer> => {
    const whole = { ...broker.authentication(client), ...params }
    const answer = await broker.post(path, whole)
    if (answer.status === 503) throw new Later()
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    promised.granted.push(answer)
    promised.spent.push({ path, params: whole })
    answered()
    return answer
  }
  const exchange = (client: string, params: Params) =>
    ask('/token', client, { grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange', ...params })
  const begin = async (turn: number) => {
    const session: string = (await exchange('orchestrator', opening(broker))).body.access_token
    promised.sessions.push(session)
    const mint = async () => {
      const token: string = (await exchange('orchestrator', continuing(session))).body.access_token
      promised.tokens.push(token)
      return token
    }
    const [token] = await Promise.all([mint(), mint()])
    if (turn % 3 === 0) {
      const offered: string = (await exchange('orchestrator', delegating(session))).body.access_token
      await exchange('researcher', accepting(offered))
      promised.accepted.push(offered)
    }
    const dies = turn % 3 === 1 ? session : turn % 3 === 2 ? token : undefined
    if (dies === undefined) return
    promised.unknown.add(dies)
    await ask('/revoke', 'orchestrator', { token: dies })
    promised.revoked.add(dies)
  }
  for (let turn = 0; ; turn += 1) {
    await begin(turn).catch((error: unknown) => {
      if (!(error instanceof Later)) throw error
    })
  }
}

const opening = (broker: BrokerProcess): Params => ({
  subject_token: broker.idToken(),
  subject_token_type: TYPE.id,
  requested_token_type: TYPE.session,
  authorization_details: JSON.stringify(INTENT),
})

const continuing = (session: string): Params => ({
  subject_token: session,
  subject_token_type: TYPE.session,
  resource: WAREHOUSE,
})

const delegating = (session: string): Params => ({
  subject_token: session,
  subject_token_type: TYPE.session,
  requested_token_type: TYPE.delegation,
  audience: 'researcher',
  authorization_details: JSON.stringify(DELEGATED),
})

const accepting = (offered: string): Params => ({
  subject_token: offered,
  subject_token_type: TYPE.delegation,
  requested_token_type: TYPE.session,
})

async function killedUnderLoad(broker: BrokerProcess): Promise<Promised> {
  const promised: Promised = {
    granted: [],
    sessions: [],
    tokens: [],
    revoked: new Set(),
    unknown: new Set(),
    accepted: [],
    spent: [],
  }
  let killed: Promise<void> | undefined
  const answered = () => {
    if (promised.granted.length < ANSWERS_BEFORE_KILL) return
    // A moment later, so that it meets the requests that follow this answer at any point of theirs.
    killed ??= sleep(Math.random() * 30).then(() => broker.kill())
  }
  const workers = Array.from({ length: WORKERS }, () => work(broker, promised, answered))
  const ends = await Promise.allSettled(workers)
  await killed
  // Each ended because the broker was gone, not because it answered wrongly.
  for (const end of ends) expect(end).toMatchObject({ status: 'rejected', reason: { message: 'fetch failed' } })
  return promised
}

/** Straight from disk, before any broker has touched it again. */
async function expectOnDisk(promised: Promised): Promise<void> {
  const store = await openStore({ kind: 'embedded', directory, org: 'default', clock: systemClock })
  try {
    const records = (await store.audit.latest(100_000)).map((entry) => JSON.parse(entry.record))
    const granted = new Set(records.filter((record) => record.outcome === 'granted').map((record) => record.id))
    const minted = new Set(records.map((record) => record.jti))
    for (const answer of promised.granted) {
      if (answer.body.decision_id !== undefined) expect(granted).toContain(answer.body.decision_id)
    }
    const revokes = new Set(records.filter((record) => record.event === 'token.revoke').map((record) => record.node))
    for (const token of promised.revoked) {
      const { jti, anc } = claimsOf(token) as { jti: string; anc: string[] }
      expect(revokes).toContain(promised.sessions.includes(token) ? anc.at(-1) : jti)
    }
    const leaves = new Map<string, number>()
    for (const token of [...promised.tokens, ...promised.sessions]) expect(minted).toContain(claimsOf(token)['jti'])
    for (const token of promised.tokens) {
      const { sid, anc } = claimsOf(token) as { sid: string; anc: string[] }
      leaves.set(sid, (leaves.get(sid) ?? 0) + 1)
      const record = await store.sessions.readAll(sid as SessionId)
      expect(record?.has(`n:${anc.at(-1)}`)).toBe(true)
      expect(Number(record?.get(`l:${anc.at(-1)}`))).toBeGreaterThanOrEqual(leaves.get(sid) ?? 0)
    }
    for (const session of promised.sessions) {
      const record = await store.sessions.readAll(claimsOf(session)['sid'] as SessionId)
      expect(record?.get('state')).toBe(stateOf(session, promised) ?? record?.get('state'))
      expect(['active', 'closed']).toContain(record?.get('state'))
    }
  } finally {
    await store.close()
  }
}

/** `undefined`: asked, not answered. */
function stateOf(session: string, promised: Promised): 'closed' | 'active' | undefined {
  if (promised.revoked.has(session)) return 'closed'
  return promised.unknown.has(session) ? undefined : 'active'
}

async function expectHeld(member: BrokerProcess, promised: Promised): Promise<void> {
  const broker = patient(member)
  for (const session of promised.sessions) {
    const state = stateOf(session, promised)
    const { status } = await broker.continue(session)
    if (state !== undefined) expect(status).toBe(state === 'active' ? 200 : 400)
  }
  const states = new Map(promised.sessions.map((one) => [claimsOf(one)['sid'], stateOf(one, promised)]))
  for (const token of promised.tokens) {
    const session = states.get(claimsOf(token)['sid'])
    const { active } = (await broker.introspect(token)).body
    if (promised.revoked.has(token) || session === 'closed') expect(active).toBe(false)
    else if (!promised.unknown.has(token) && session === 'active') expect(active).toBe(true)
  }
  for (const offered of promised.accepted) {
    const again = await broker.accept(offered)
    expect(again.status).toBe(400)
    // Of a session that was not revoked since: it says why.
    expect(again.body.error_reason).toMatch(/^(delegation_consumed|session_not_issuing|subject_token_revoked)$/)
  }
  for (const { path, params } of promised.spent) {
    const replayed = await whenReady(() => broker.post(path, params))
    expect([path, replayed.status, replayed.body.error]).toEqual([path, 401, 'invalid_client'])
  }
}

test('what was answered before each of several SIGKILLs is so after it', async () => {
  const all: Promised[] = []
  for (let kill = 0; kill < KILLS; kill += 1) {
    const broker = await fleet.start()
    for (const before of all.slice(-1)) await expectHeld(broker, before)
    const promised = await killedUnderLoad(broker)
    all.push(promised)
    for (const one of all) await expectOnDisk(one)
  }
  const last = await fleet.start()
  for (const one of all) await expectHeld(last, one)
  expect(await last.stop()).toBe(0)
  const count = (pick: (promised: Promised) => number) => all.reduce((sum, promised) => sum + pick(promised), 0)
  const counts = {
    sessions: count((one) => one.sessions.length),
    tokens: count((one) => one.tokens.length),
    revoked: count((one) => one.revoked.size),
    accepted: count((one) => one.accepted.length),
  }
  console.log(counts)
  for (const number of Object.values(counts)) expect(number).toBeGreaterThan(0)
})
