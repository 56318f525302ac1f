import { afterEach, beforeEach, expect, test } from 'vitest'
import { sha256 } from '../../../src/kernel/digest.ts'
import { UNKNOWN_COMMITS_MAX } from '../../../src/kernel/store-limits.ts'
import { issueLeaf, openSession } from '../../../src/sessions/session-commits.ts'
import { SessionRepository } from '../../../src/sessions/session-repository.ts'
import { type Doomed, UnknownCommits } from '../../../src/sessions/unknown-commits.ts'
import { failing } from './faults.ts'
import { HandClock, NOW, nodeFacts, ROOT, SESSION, sessionFacts, type TestStore, testStore } from './fixtures.ts'

let held: TestStore
let sessions: SessionRepository
let unknown: UnknownCommits
let forgotten = 0
beforeEach(async () => {
  held = await testStore(new HandClock())
  sessions = new SessionRepository(held.store)
  forgotten = 0
  unknown = new UnknownCommits(held.store, sessions, () => {
    forgotten += 1
  })
  await sessions.commit(openSession(sessionFacts(), nodeFacts(), false), 'jti_open', 'opened')
})
afterEach(async () => {
  await unknown.stop()
  await held.close()
})

const leaf = issueLeaf({ facts: sessionFacts(), state: 'active' }, [ROOT], NOW)
const token: Doomed = { dimension: 'token', id: 'jti_token', expiresAt: NOW + 300 }
const ofToken = (id = 'jti_token') => ({
  change: leaf,
  id,
  doomed: token,
  record: (happened: boolean) => `${id} ${happened ? 'undone' : 'never'}`,
})
const leaves = async () => (await sessions.view(SESSION, NOW))?.nodes[0]?.leaves
const records = async () => (await held.store.audit.latest(10)).map(({ record }) => record)
const cutoffs = async () => (await held.store.control.snapshot()).entries.map(({ id }) => id)

test('one that never happened never will: arriving late, it finds its id taken', async () => {
  unknown.add(ofToken())
  await unknown.settle()
  expect(await records()).toEqual(['jti_token never', 'opened'])
  // The original, at last.
  await sessions.commit(leaf, 'jti_token', 'granted')
  expect(await leaves()).toBe(0)
  expect(await records()).toEqual(['jti_token never', 'opened'])
  expect(await cutoffs()).toEqual([])
})

test('what its record names comes with it: the first may never have brought it', async () => {
  const text = 'what was granted'
  unknown.add({ ...ofToken(), change: { ...leaf, contents: [{ digest: sha256(text), text }] } })
  await unknown.settle()
  expect(await records()).toEqual(['jti_token never', 'opened'])
  expect(await held.store.audit.content(sha256(text), SESSION)).toBe(text)
})

test('one that happened is cut off, marked and recorded, however often it has to be tried', async () => {
  await sessions.commit(leaf, 'jti_token', 'granted')
  unknown.add(ofToken())
  for (const [port, method] of [
    [held.store.sessions, 'commit'],
    [held.store.control, 'write'],
  ] as const) {
    const fault = failing(port as never, method as never, { after: true })
    await unknown.settle()
    expect(fault.failures).toBe(1)
    fault.heal()
  }
  await unknown.settle()
  expect(await cutoffs()).toEqual(['jti_token'])
  expect(await sessions.readLive(SESSION, [ROOT, 'jti_token'], NOW)).toBeUndefined()
  expect(await sessions.readLive(SESSION, [ROOT], NOW)).toBeDefined()
  expect(await records()).toEqual(['jti_token undone', 'granted', 'opened'])
  await unknown.settle()
  expect(await records()).toHaveLength(3)
})

test('a session that nobody was told of is revoked, a delegation can no longer be accepted', async () => {
  unknown.add({ ...ofToken('jti_open'), doomed: { dimension: 'session' } })
  await unknown.settle()
  expect((await sessions.view(SESSION, NOW))?.state).toBe('revoked')
  expect(await cutoffs()).toEqual([SESSION])
})

test('a mark that the session does not take any more is not needed: the cut-off kills', async () => {
  await sessions.commit(leaf, 'jti_token', 'granted')
  await sessions.commit(
    { ...leaf, checks: [], operations: [{ operation: 'set', field: 'state', value: 'closed' }] },
    'end',
    undefined,
  )
  unknown.add({ ...ofToken(), doomed: { dimension: 'session' } })
  await unknown.settle()
  expect((await sessions.view(SESSION, NOW))?.state).toBe('closed')
  expect(await records()).toContain('jti_token undone')
})

test('is retried by itself, and bounded: one too many is reported, and harms nobody', async () => {
  const fault = failing(held.store.sessions, 'commit')
  for (let n = 0; n < UNKNOWN_COMMITS_MAX; n++) unknown.add(ofToken(`jti_${n}`))
  expect(forgotten).toBe(0)
  unknown.add(ofToken('jti_too_many'))
  expect(forgotten).toBe(1)
  while (fault.failures < 2) await new Promise((resolve) => setTimeout(resolve, 20))
  fault.heal()
  await unknown.settle()
  expect(await held.store.audit.latest(UNKNOWN_COMMITS_MAX + 10)).toHaveLength(UNKNOWN_COMMITS_MAX + 1)
})
