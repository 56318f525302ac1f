/**
 * A workload's token that somebody else has got hold of (checklist #47, C3): platforms keep it in files that are read again,
 * so it stays with the key that it was first shown with, whatever it is shown as, and at every broker.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CLOCK_SKEW_S } from '../../src/kernel/limits.ts'
import { startFleet } from '../support/broker-process.ts'
import { holderKey, jktOf, proof, proving } from '../support/dpop.ts'
import { granted } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { withTwinSignature } from '../support/keys.ts'
import { startRedis } from '../support/redis.ts'
import { expectRefused, invalidClient, invalidRequest, toStranger } from '../support/refusal.ts'
import {
  asClient,
  requestsOf,
  startWorkloadWorld,
  tokensOf,
  type WorkloadWorld,
  withWorkloads,
} from '../support/workloads.ts'
import { patient, Secret, TYPE, type World } from '../support/world.ts'

const key = holderKey()
const thief = holderKey('thief')
const INVALID_GRANT = toStranger({ status: 400, error: 'invalid_grant', reason: 'assertion_bound' })

describe('in one broker', () => {
  let at: WorkloadWorld
  let world: World
  beforeAll(async () => {
    at = await startWorkloadWorld()
    world = at.world
  })
  afterAll(() => at.close())

  test('#47 with the key that it was first shown with it goes on; with another, or with none, it is nobody’s', async () => {
    const token = at.podToken()
    const { claims } = await granted(at.ask(token, {}, proving(world, key)))
    expect(claims.cnf).toEqual({ jkt: jktOf(key) })
    await granted(at.ask(token, {}, proving(world, key)))
    const bound = invalidClient('client_assertion_bound')
    await expectRefused(world, () => at.ask(token, {}, proving(world, thief)), bound)
    await expectRefused(world, () => at.ask(token), bound)
    await granted(at.ask(token, {}, proving(world, key)))
  })

  test('shown without a key first, it takes none later: whoever comes with one has not been its holder', async () => {
    const token = at.podToken()
    await granted(at.ask(token))
    const later = () => at.ask(token, {}, proving(world, thief))
    await expectRefused(world, later, invalidClient('client_assertion_bound'))
    await granted(at.ask(token))
  })

  test('what it is shown as does not matter, nor does the other signature that its signature has', async () => {
    const token = at.jobToken()
    await granted(at.ask(token, {}, proving(world, key)))
    const twin = withTwinSignature(new Secret(token)).reveal()
    const bound = invalidClient('client_assertion_bound')
    await expectRefused(world, () => at.ask(twin, {}, proving(world, thief)), bound)
    const subject = () => at.open(token, asClient(at.podToken()), proving(world, thief))
    await expectRefused(world, subject, invalidRequest('subject_token_bound'))
    const actor = { actor_token: token, actor_token_type: TYPE.jwt, ...asClient(at.podToken()) }
    const acting = () => at.open(at.podToken(), actor, proving(world, thief))
    await expectRefused(world, acting, invalidRequest('actor_token_unacceptable'))
    await expectRefused(world, () => at.federate(token, {}, proving(world, thief)), INVALID_GRANT)
    await expectRefused(world, () => at.federate(twin), INVALID_GRANT)
    await granted(at.federate(token, {}, proving(world, key)))
  })

  test('a request that is refused binds it all the same: the key was shown', async () => {
    const token = at.podToken()
    const nothing = { resource: 'https://nowhere.example/mcp' }
    const refusal = { status: 400, error: 'invalid_target', reason: 'resource_unknown' } as const
    await expectRefused(world, () => at.ask(token, nothing, proving(world, key)), refusal)
    const later = () => at.ask(token, {}, proving(world, thief))
    await expectRefused(world, later, invalidClient('client_assertion_bound'))
  })

  test('a proof that is no proof binds nothing', async () => {
    const token = at.podToken()
    const stale = { DPoP: proof(world, thief, { claims: { iat: 1 } }) }
    const refusal = { status: 400, error: 'invalid_dpop_proof', reason: 'dpop_proof_invalid' } as const
    await expectRefused(world, () => at.ask(token, {}, stale), refusal)
    await granted(at.ask(token, {}, proving(world, key)))
  })

  test('it stays so until the token has expired, skew included', async () => {
    const token = at.podToken()
    await granted(at.ask(token, {}, proving(world, key)))
    await world.advance(3607 + CLOCK_SKEW_S - 1)
    const late = () => at.ask(token, {}, proving(world, thief))
    await expectRefused(world, late, invalidClient('client_assertion_bound'))
    await granted(at.ask(token, {}, proving(world, key)))
  })
})

test('whoever has only the token, and proves no key, spends nothing of what its client may ask', async () => {
  const at = await startWorkloadWorld({ limits: { perClient: { perSecond: 0.01, burst: 3 } } })
  try {
    const token = at.podToken()
    const stale = { DPoP: proof(at.world, thief, { claims: { iat: 1 } }) }
    for (let tries = 0; tries < 5; tries += 1) {
      expect((await at.ask(token, {}, stale)).body.error_reason).toBe('dpop_proof_invalid')
    }
    for (let requests = 0; requests < 3; requests += 1) await granted(at.ask(token, {}, proving(at.world, key)))
    expect((await at.ask(token, {}, proving(at.world, key))).body.error_reason).toBe('client_limited')
  } finally {
    await at.close()
  }
})

const HOLDERS = 12

test('#47 of many who show one token at once at two brokers, each with a key, one key wins, and at both', async () => {
  const cluster = await startIssuer({ slug: 'cluster', alg: 'RS256' })
  const ci = await startIssuer({ slug: 'ci' })
  const redis = await startRedis()
  const fleet = await startFleet(() => ({
    store: { kind: 'redis', url: redis.url },
    registry: (document) => withWorkloads(document, cluster, ci),
  }))
  try {
    const brokers = [patient(await fleet.start()), patient(await fleet.start())] as const
    const { podToken } = tokensOf(brokers[0], cluster, ci)
    const show = (token: string, holder: number) => {
      const world = brokers[holder % 2 === 0 ? 0 : 1]
      return requestsOf(world).ask(token, {}, proving(world, holderKey(`holder-${holder}`)))
    }
    for (let round = 0; round < 5; round += 1) {
      const token = podToken()
      const holders = Array.from({ length: HOLDERS }, (_, holder) => holder)
      const answers = await Promise.all(holders.map((holder) => show(token, holder)))
      const winners = holders.filter((holder) => answers[holder]?.status === 200)
      expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(HOLDERS - 1).fill(401)])
      const [winner = -1] = winners
      expect([(await show(token, winner)).status, (await show(token, winner + 1)).status]).toEqual([200, 401])
    }
  } finally {
    await fleet.close()
    await redis.stop()
    await Promise.all([cluster.close(), ci.close()])
  }
})
