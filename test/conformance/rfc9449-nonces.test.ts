/**
 * Nonces of DPoP proofs (RFC 9449 §8, checklist #90): asked for at `/token` and at the sessions API, agreed on by every broker
 * of a store, and by nobody else.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DpopNonces } from '../../src/credentials/proof/dpop-nonces.ts'
import { DPOP_NONCE_REREAD_MS, DPOP_NONCE_WINDOW_S } from '../../src/kernel/credential-limits.ts'
import { athOf, holderKey, jktOf, type ProofChange, proof, proving } from '../support/dpop.ts'
import { granted } from '../support/hops.ts'
import { expectRefused, invalidRequest, type Refusal } from '../support/refusal.ts'
import { type Answer, ManualClock, startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld({ config: { dpop: { nonce: 'required' } } })
})
afterAll(() => world.close())

const key = holderKey()
const WANTED: Refusal = { status: 400, error: 'use_dpop_nonce', reason: 'dpop_nonce_required' }
const open = (claims: ProofChange['claims'] = {}) => world.open({}, proving(world, key, { claims }))
const told = (answer: Answer): string => answer.headers.get('dpop-nonce') ?? ''

async function nonceNow(): Promise<string> {
  const { answer } = await expectRefused(world, () => open(), WANTED)
  return told(answer)
}

describe('#90 RFC 9449 §8 at the token endpoint', () => {
  test('a proof without one is told the nonce; with it, it is granted, and told it again', async () => {
    const nonce = await nonceNow()
    expect(nonce).toMatch(/^[A-Za-z0-9_-]{22}$/)
    const answer = await open({ nonce })
    const { claims } = await granted(Promise.resolve(answer))
    expect(claims.cnf).toEqual({ jkt: jktOf(key) })
    expect(told(answer)).toBe(nonce)
  })

  test('one that nobody gave out: refused, and told another', async () => {
    for (const nonce of ['A'.repeat(22), 'x', `${await nonceNow()}A`]) {
      await expectRefused(world, () => open({ nonce }), WANTED)
    }
  })

  test('a proof that is none learns no nonce is wanted: what is wrong with it comes first', async () => {
    const bad = { status: 400, error: 'invalid_dpop_proof', reason: 'dpop_proof_invalid' } as const
    await expectRefused(world, () => open({ htm: 'GET' }), bad)
  })

  test('it is good for a window and the next, then old', async () => {
    const nonce = await nonceNow()
    await world.advance(DPOP_NONCE_WINDOW_S)
    const answer = await open({ nonce })
    await granted(Promise.resolve(answer))
    expect(told(answer), 'the next one is told before this one is too old').not.toBe(nonce)
    await world.advance(DPOP_NONCE_WINDOW_S)
    await expectRefused(world, () => open({ nonce }), WANTED)
    await granted(open({ nonce: told(answer) }))
  })

  test('requests without a proof are not concerned', async () => {
    const answer = await world.open()
    await granted(Promise.resolve(answer))
    expect(answer.headers.has('dpop-nonce')).toBe(false)
  })

  test('a nonce alone proves nothing: a bound session still asks for its own key', async () => {
    const { token } = await granted(open({ nonce: await nonceNow() }))
    const headers = proving(world, holderKey('other'), { claims: { nonce: await nonceNow() } })
    const attempt = () => world.continue(token, {}, 'orchestrator', headers)
    await expectRefused(world, attempt, invalidRequest('subject_token_unproven'))
  })
})

test('#90 RFC 9449 §9 where a token is presented it is 401, with the nonce', async () => {
  const nonce = await nonceNow()
  const params = { resource: `${world.issuer}/api`, scope: 'sessions' }
  const headers = proving(world, key, { claims: { nonce } })
  const { token } = await granted(world.clientCredentials('orchestrator', params, headers))
  const send = (claims: object) => {
    const about = { htm: 'GET', htu: `${world.issuer}/sessions`, ath: athOf(token) }
    const dpop = proof(world, key, { claims: { ...about, ...claims } })
    return world.request('/sessions', { headers: { Authorization: `DPoP ${token}`, DPoP: dpop } })
  }
  const { answer } = await expectRefused(world, () => send({}), { ...WANTED, status: 401, stranger: true })
  expect(answer.headers.get('www-authenticate')).toMatch(/^DPoP .*error="use_dpop_nonce"/)
  expect((await send({ nonce: told(answer) })).status).toBe(200)
})

test('RFC 9449 §8 off, no nonce is asked for and none is told', async () => {
  const plain = await startWorld({ issuer: world.idp })
  try {
    const answer = await plain.open({}, proving(plain, key))
    await granted(Promise.resolve(answer))
    expect(answer.headers.has('dpop-nonce')).toBe(false)
  } finally {
    await plain.close()
  }
})

describe('brokers of one store', () => {
  const documents = () => {
    const texts = new Map<string, string>()
    return {
      texts,
      read: async (name: string) => texts.get(name),
      replace: async (name: string, expected: string | undefined, text: string) => {
        if (texts.get(name) !== expected) return false
        texts.set(name, text)
        return true
      },
    }
  }

  test('agree, though they start at once, and one comes later', async () => {
    const [store, clock] = [documents(), new ManualClock()]
    const [one, two] = await Promise.all([DpopNonces.open(store, clock), DpopNonces.open(store, clock)])
    const later = await DpopNonces.open(store, clock)
    expect(two.current).toBe(one.current)
    expect(await later.isGood(one.current)).toBe(true)
  })

  test('agree where their clocks are a window apart, in both directions, and no further', async () => {
    const store = documents()
    const [early, late] = [new ManualClock(), new ManualClock()]
    const [behind, ahead] = [await DpopNonces.open(store, early), await DpopNonces.open(store, late)]
    late.advance(DPOP_NONCE_WINDOW_S)
    expect([await behind.isGood(ahead.current), await ahead.isGood(behind.current)]).toEqual([true, true])
    late.advance(DPOP_NONCE_WINDOW_S)
    expect([await behind.isGood(ahead.current), await ahead.isGood(behind.current)]).toEqual([false, false])
  })

  test('another store has other nonces', async () => {
    const clock = new ManualClock()
    const [ours, theirs] = [await DpopNonces.open(documents(), clock), await DpopNonces.open(documents(), clock)]
    expect(await ours.isGood(theirs.current)).toBe(false)
  })

  test('a secret that was lost and made anew is found, and looked for no more than once a second', async () => {
    const [store, clock] = [documents(), new ManualClock()]
    const old = await DpopNonces.open(store, clock)
    store.texts.clear()
    const restarted = await DpopNonces.open(store, clock)
    let reads = 0
    const { read } = store
    store.read = (name) => {
      reads += 1
      return read(name)
    }
    expect(await old.isGood(restarted.current)).toBe(false)
    expect(reads).toBe(0)
    clock.advance(DPOP_NONCE_REREAD_MS / 1000)
    expect(await Promise.all([old.isGood(restarted.current), old.isGood('A'.repeat(22))])).toEqual([true, false])
    expect(await old.isGood('B'.repeat(22))).toBe(false)
    expect([reads, old.current]).toEqual([1, restarted.current])
  })
})
