import { afterEach, beforeEach, expect, test } from 'vitest'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { claimOnce } from '../../../src/sessions/replay-guard.ts'
import { failing } from './faults.ts'
import { HandClock, NOW, type TestStore, testStore } from './fixtures.ts'

const USE = {
  slot: 'client_assertion' as const,
  key: 'assertion:orchestrator:digest',
  issuedAtMs: NOW * 1000,
  expiresAtMs: (NOW + 60) * 1000,
}
const stale = new Rejection('cutoffs_stale', 'the clocks differ')
const by = (nonce: string, forgottenAtMs = 0, fresh = true) => ({
  nonce,
  cutoffs: {
    set: { forgottenAtMs: () => forgottenAtMs },
    assertFresh: () => {
      if (!fresh) throw stale
    },
  },
})
const replayed = { reason: 'client_assertion_replayed' }

let clock: HandClock
let held: TestStore
beforeEach(async () => {
  clock = new HandClock()
  held = await testStore(clock)
})
afterEach(() => held.close())

test('the first request with an id claims it, every other is a replay', async () => {
  await claimOnce(held.store.claims, USE, by('req_1'))
  await expect(claimOnce(held.store.claims, USE, by('req_2'))).rejects.toMatchObject(replayed)
})

test('an actor token used before is the caller’s own mistake, and told apart', async () => {
  const use = { ...USE, slot: 'actor_token' as const }
  await claimOnce(held.store.claims, use, by('req_1'))
  await expect(claimOnce(held.store.claims, use, by('req_2'))).rejects.toMatchObject({
    reason: 'actor_token_unacceptable',
  })
})

test('a retry within the same request sees its own claim as its own', async () => {
  await claimOnce(held.store.claims, USE, by('req_1'))
  await expect(claimOnce(held.store.claims, USE, by('req_1'))).resolves.toBeUndefined()
})

test('of many at once exactly one wins', async () => {
  const attempts = Array.from({ length: 20 }, (_, index) => claimOnce(held.store.claims, USE, by(`req_${index}`)))
  const outcomes = await Promise.allSettled(attempts)
  expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(1)
})

test('once single use can no longer be promised nobody gets it', async () => {
  clock.ms = USE.expiresAtMs
  await expect(claimOnce(held.store.claims, USE, by('req_1'))).rejects.toMatchObject(replayed)
})

test('where the clock may be wrong, what cannot be claimed is not called a replay, and is refused all the same', async () => {
  clock.ms = USE.expiresAtMs
  await expect(claimOnce(held.store.claims, USE, by('req_1', 0, false))).rejects.toBe(stale)
})

test('ids are claimed apart from each other', async () => {
  await claimOnce(held.store.claims, USE, by('req_1'))
  await expect(claimOnce(held.store.claims, { ...USE, key: 'assertion:researcher:digest' }, by('req_2'))).resolves.toBe(
    undefined,
  )
})

test('a store that does not answer is a fault, neither a success nor a replay', async () => {
  failing(held.store.claims, 'claim')
  await expect(claimOnce(held.store.claims, USE, by('req_1'))).rejects.toMatchObject({ name: 'StoreUnavailable' })
})

test('what may have been used in a store that is lost is refused: issued before everything was cut off, or about then', async () => {
  const { issuedAtMs } = USE
  for (const forgottenAtMs of [issuedAtMs, issuedAtMs + 60_000, issuedAtMs - 30_000]) {
    await expect(claimOnce(held.store.claims, USE, by('req_1', forgottenAtMs))).rejects.toMatchObject(replayed)
  }
  await claimOnce(held.store.claims, USE, by('req_1', issuedAtMs - 30_001))
})
