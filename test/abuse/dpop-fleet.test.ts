/**
 * DPoP where brokers are several processes on one store (RFC 9449 §8, §11.1): one proof is good once among all of them, and the
 * nonce that one gives out is good at every other, at one that starts later, and after all have been killed.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { athOf, holderKey, jktOf, proving } from '../support/dpop.ts'
import { granted } from '../support/hops.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { type Answer, patient } from '../support/world.ts'

let redis: RunningRedis
let fleet: Fleet
let one: BrokerProcess
let two: BrokerProcess
beforeAll(async () => {
  redis = await startRedis()
  fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url }, dpop: { nonce: 'required' } }))
  // At once: both find no secret, and one makes it.
  const both = await Promise.all([fleet.start(), fleet.start()])
  ;[one, two] = both.map(patient) as [BrokerProcess, BrokerProcess]
})
afterAll(async () => {
  await fleet?.close()
  await redis?.stop()
})

const key = holderKey()
const open = (at: BrokerProcess, nonce?: string) => at.open({}, proving(at, key, { claims: { nonce } }))

/** What this broker asks for. */
async function nonceOf(at: BrokerProcess): Promise<string> {
  const answer = await open(at)
  expect([answer.status, answer.body.error]).toEqual([400, 'use_dpop_nonce'])
  return answer.headers.get('dpop-nonce') ?? ''
}

test('#89 one proof at two brokers, forty times at once: exactly one token', async () => {
  const headers = proving(one, key, { claims: { nonce: await nonceOf(one) } })
  const answers: Answer[] = await Promise.all(
    Array.from({ length: 40 }, (_, index) => (index % 2 === 0 ? one : two).open({}, headers)),
  )
  const won = answers.filter(({ status }) => status === 200)
  expect(won).toHaveLength(1)
  const others = answers.filter((answer) => answer !== won[0]).map(({ body }) => body.error_reason)
  expect(new Set(others)).toEqual(new Set(['dpop_proof_replayed']))
})

test('#89 one proof with one bound API token at two brokers: it is taken once', async () => {
  const params = { resource: `${fleet.issuer}/api`, scope: 'sessions' }
  const nonce = await nonceOf(one)
  const api = await granted(one.clientCredentials('orchestrator', params, proving(one, key, { claims: { nonce } })))
  const about = { htm: 'GET', htu: `${fleet.issuer}/sessions`, ath: athOf(api.token), nonce }
  const headers = { Authorization: `DPoP ${api.token}`, ...proving(one, key, { claims: about }) }
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, index) => (index % 2 === 0 ? one : two).request('/sessions', { headers })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(9).fill(401)])
})

test('#90 the nonce of one broker is good at the other, and a bound session goes on there', async () => {
  const [first, second] = [await nonceOf(one), await nonceOf(two)]
  const session = await granted(open(two, first))
  const headers = proving(one, key, { claims: { nonce: second } })
  const access = await granted(one.continue(session.token, {}, 'orchestrator', headers))
  expect(access.claims.cnf).toEqual({ jkt: jktOf(key) })
  const bearer = await one.continue(session.token)
  expect(bearer.body.error_reason).toBe('subject_token_unproven')
})

test('#90 it is good at a broker that starts when the others are dead, and so is the session bound before', async () => {
  const nonce = await nonceOf(one)
  const session = await granted(open(one, nonce))
  await Promise.all([one.kill(), two.kill()])
  const three = patient(await fleet.start())
  const headers = proving(three, key, { claims: { nonce } })
  const { claims } = await granted(three.continue(session.token, {}, 'orchestrator', headers))
  expect(claims.cnf).toEqual({ jkt: jktOf(key) })
})
