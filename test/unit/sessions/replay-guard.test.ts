import { afterEach, beforeEach, expect, test } from 'vitest'
import { claimOnce } from '../../../src/sessions/replay-guard.ts'
import { failing } from './faults.ts'
import { HandClock, NOW, type TestStore, testStore } from './fixtures.ts'

const USE = { slot: 'client_assertion' as const, key: 'assertion:orchestrator:digest', expiresAtMs: (NOW + 60) * 1000 }
const replayed = { reason: 'client_assertion_replayed' }

let clock: HandClock
let held: TestStore
beforeEach(async () => {
  clock = new HandClock()
  held = await testStore(clock)
})
afterEach(() => held.close())

test('the first request with an id claims it, every other is a replay', async () => {
  await claimOnce(held.store.claims, USE, 'req_1')
  await expect(claimOnce(held.store.claims, USE, 'req_2')).rejects.toMatchObject(replayed)
})

test('an actor token used before is the caller’s own mistake, and told apart', async () => {
  const use = { ...USE, slot: 'actor_token' as const }
  await claimOnce(held.store.claims, use, 'req_1')
  await expect(claimOnce(held.store.claims, use, 'req_2')).rejects.toMatchObject({ reason: 'actor_token_unacceptable' })
})

test('a retry within the same request sees its own claim as its own', async () => {
  await claimOnce(held.store.claims, USE, 'req_1')
  await expect(claimOnce(held.store.claims, USE, 'req_1')).resolves.toBeUndefined()
})

test('of many at once exactly one wins', async () => {
  const attempts = Array.from({ length: 20 }, (_, index) => claimOnce(held.store.claims, USE, `req_${index}`))
  const outcomes = await Promise.allSettled(attempts)
  expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
})

test('once single use can no longer be promised nobody gets it', async () => {
  clock.ms = USE.expiresAtMs
  await expect(claimOnce(held.store.claims, USE, 'req_1')).rejects.toMatchObject(replayed)
})

test('ids are claimed apart from each other', async () => {
  await claimOnce(held.store.claims, USE, 'req_1')
  await expect(claimOnce(held.store.claims, { ...USE, key: 'assertion:researcher:digest' }, 'req_2')).resolves.toBe(
    undefined,
  )
})

test('a store that does not answer is a fault, neither a success nor a replay', async () => {
  failing(held.store.claims, 'claim')
  await expect(claimOnce(held.store.claims, USE, 'req_1')).rejects.toMatchObject({ name: 'StoreUnavailable' })
})
