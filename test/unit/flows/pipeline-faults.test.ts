/** The store fails at each of its calls in turn: nothing is given out, nothing is half-written, the next request works. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Commit } from '../../../src/model/commit.ts'
import { startIssuer, type TestIssuer } from '../../support/issuer.ts'
import { type Answer, claimsOf, type ManualClock, startWorld, type World } from '../../support/world.ts'
import { type Fault, failing } from '../sessions/faults.ts'

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const faults: Fault[] = []
afterEach(async () => {
  for (const fault of faults.splice(0)) fault.heal()
  await world.broker.settleCommits()
})
function breaks<P extends object>(
  port: P,
  method: keyof P & string,
  options: Parameters<typeof failing>[2] = {},
): Fault {
  const fault = failing(port, method, options)
  faults.push(fault)
  return fault
}

/** Records in the log, by id. */
const recorded = async (id: string) => (await world.audit(1_000)).filter((record) => record.id === id)
const sessionFields = async (sid: string) => world.broker.store.sessions.readAll(sid as never)

function expectLater(answer: Answer, reason: string): void {
  expect(answer.status, JSON.stringify(answer.body)).toBe(503)
  expect(answer.body).toMatchObject({ error: 'temporarily_unavailable', error_reason: reason })
  expect(answer.body).not.toHaveProperty('access_token')
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
}

interface Ready {
  readonly session: string
  readonly sid: string
  readonly delegation: string
}
async function ready(): Promise<Ready> {
  const { session, sid } = await world.opened()
  return { session, sid, delegation: (await world.delegate(session)).body.access_token }
}

const FLOWS: Readonly<Record<string, (ready: Ready) => Promise<Answer>>> = {
  open: () => world.open(),
  continue: ({ session }) => world.continue(session),
  delegate: ({ session }) => world.delegate(session),
  accept: ({ delegation }) => world.accept(delegation),
}
const EVERY = Object.entries(FLOWS)

describe.each(EVERY)('%s', (_name, ask) => {
  test('where ids cannot be claimed', async () => {
    const at = await ready()
    const before = await sessionFields(at.sid)
    const fault = breaks(world.broker.store.claims, 'claim')
    const answer = await ask(at)
    expectLater(answer, 'store_unavailable')
    expect(fault.failures).toBeGreaterThan(0)
    expect(await sessionFields(at.sid)).toEqual(before)
    // The client had proved who it is: the refusal is its own, and recorded.
    expect(await recorded(answer.body.decision_id)).toMatchObject([
      { outcome: 'refused', reason: 'store_unavailable', by: expect.stringMatching(/^agent:/) },
    ])
    fault.heal()
    expect((await ask(at)).status).toBe(200)
  })

  test('where the commit does not answer and was not performed', async () => {
    const at = await ready()
    const before = await sessionFields(at.sid)
    const sent: string[] = []
    const noted = ([commit]: readonly unknown[]) => sent.push((commit as Commit).id) > 0
    const fault = breaks(world.broker.store.sessions, 'commit', { when: noted })
    const answer = await ask(at)
    expectLater(answer, 'store_unavailable')
    // Once more under the same id, then the caller is told. What kills the token meanwhile has an id of its own.
    expect(sent.filter((id) => id === sent[0])).toHaveLength(2)
    expect(await sessionFields(at.sid)).toEqual(before)
    // A commit was sent and nobody knows what became of it: the record does not say that it was refused.
    expect(await recorded(answer.body.decision_id)).toMatchObject([
      { outcome: 'unfinished', reason: 'store_unavailable' },
    ])
    fault.heal()
    expect((await ask(at)).status).toBe(200)
  })

  test('where neither commit nor log answer: no record, so no decision to look up', async () => {
    const at = await ready()
    breaks(world.broker.store.sessions, 'commit')
    breaks(world.broker.store.audit, 'append')
    const answer = await ask(at)
    expectLater(answer, 'store_unavailable')
    expect(answer.body).not.toHaveProperty('decision_id')
  })

  test('where the revocations are not certain', async () => {
    const at = await ready()
    const before = await sessionFields(at.sid)
    const commits = breaks(world.broker.store.sessions, 'commit')
    const stale = staleCutoffs()
    const answer = await ask(at)
    stale.heal()
    expectLater(answer, 'cutoffs_stale')
    expect(commits.failures).toBe(0)
    expect(await sessionFields(at.sid)).toEqual(before)
  })
})

/** The feed stays silent for longer than a broker may trust what it knows. */
function staleCutoffs(): Fault {
  const { cutoffs } = world.broker
  const lost = cutoffs.confirmed
  const frozen = world.clock as ManualClock
  cutoffs.confirmed = () => undefined
  frozen.advance(2.001)
  return {
    failures: 0,
    heal: () => {
      cutoffs.confirmed = lost
      cutoffs.confirmed(0, frozen.nowMs())
    },
  }
}

describe.each(EVERY.filter(([name]) => name !== 'open'))('%s from a handle', (_name, ask) => {
  test('where the session cannot be read: never taken for absent', async () => {
    const at = await ready()
    const before = await sessionFields(at.sid)
    const fault = breaks(world.broker.store.sessions, 'read')
    expectLater(await ask(at), 'store_unavailable')
    fault.heal()
    expect(await sessionFields(at.sid)).toEqual(before)
    expect((await ask(at)).status).toBe(200)
  })

  test('where the commit was performed but its answer was lost: the token is not given out, its record is there', async () => {
    const at = await ready()
    const fault = breaks(world.broker.store.sessions, 'commit', { after: true })
    const answer = await ask(at)
    expectLater(answer, 'store_unavailable')
    fault.heal()
    // What was granted is recorded with it; that nobody could be told is recorded as well.
    const outcomes = (await recorded(answer.body.decision_id)).map(({ outcome }) => outcome).sort()
    expect(outcomes).toEqual(['granted', 'unfinished'])
  })

  test('where only the first answer of the commit was lost: it is asked again, and happens once', async () => {
    const at = await ready()
    let calls = 0
    const first = () => {
      calls += 1
      return calls === 1
    }
    breaks(world.broker.store.sessions, 'commit', { after: true, when: first })
    const answer = await ask(at)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    expect(calls).toBe(2)
    expect(await recorded(answer.body.decision_id)).toMatchObject([{ outcome: 'granted' }])
  })
})

describe('where the store fails later than it matters', () => {
  test('a session that no list takes is opened, and found by its id', async () => {
    const fault = breaks(world.broker.store.indexes, 'add')
    const answer = await world.open()
    expect(answer.status).toBe(200)
    expect(fault.failures).toBeGreaterThan(0)
    const sid = String(claimsOf(answer.body.access_token)['sid'])
    const token = await world.apiToken()
    expect((await world.bearer(`/sessions/${sid}`, token)).status).toBe(200)
  })
})

describe('an API token', () => {
  const ask = () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` })

  test('is not given out without its record', async () => {
    breaks(world.broker.store.audit, 'append')
    expectLater(await ask(), 'audit_unavailable')
  })

  test('is not given out where its assertion cannot be claimed', async () => {
    breaks(world.broker.store.claims, 'claim')
    expectLater(await ask(), 'store_unavailable')
  })

  test('is not given out on uncertain revocations', async () => {
    const stale = staleCutoffs()
    const answer = await ask()
    stale.heal()
    expectLater(answer, 'cutoffs_stale')
  })
})

test('a stranger is refused as a stranger, whatever the store does', async () => {
  breaks(world.broker.store.audit, 'append')
  breaks(world.broker.store.sessions, 'commit')
  const answer = await world.open({ client_assertion: `${world.assertion('orchestrator').slice(0, -8)}AAAAAAAA` })
  expect(answer.status).toBe(401)
  expect(answer.body.error).toBe('invalid_client')
})

test('an accept whose commit failed has not burnt the delegation; one that succeeded has', async () => {
  const at = await ready()
  const fault = breaks(world.broker.store.sessions, 'commit')
  expectLater(await world.accept(at.delegation), 'store_unavailable')
  fault.heal()
  expect((await world.accept(at.delegation)).status).toBe(200)
  expect((await world.accept(at.delegation)).body.error_reason).toBe('delegation_consumed')
})

test('a refusal that cannot be recorded is not given either', async () => {
  const at = await ready()
  breaks(world.broker.store.audit, 'append')
  expectLater(await world.continue(at.session, world.authentication('scribe')), 'audit_unavailable')
})
