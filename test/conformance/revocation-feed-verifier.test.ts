/** A verifier that follows the feed: what is revoked is refused at once, whatever it was revoked by; and what it cannot know, too. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Dimension } from '../../src/authority/dimensions.ts'
import type { Listening } from '../../src/http/listener.ts'
import { shardName } from '../../src/kernel/shard.ts'
import { toolCallRefusal } from '../../src/sdk/verify/tool-call.ts'
import type { VerifiedToken } from '../../src/sdk/verify/verified-token.ts'
import { until } from '../support/broker-process.ts'
import { type FollowingVerifier, feedVerifier, verdict } from '../support/feed-verifier.ts'
import { listenTo } from '../support/raw-http.ts'
import { claimsOf, headerOf, startWorld, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let listening: Listening
let verifier: FollowingVerifier
const revoked: VerifiedToken[] = []
const at = () => `http://127.0.0.1:${listening.port}`
beforeAll(async () => {
  world = await startWorld()
  listening = await listenTo(world)
  verifier = feedVerifier(world, { at, revocations: { onRevoked: (token) => revoked.push(token) } })
  await verifier.revocations.ready()
})
afterAll(async () => {
  await verifier.revocations.close()
  await listening.stop()
  await world.close()
})

const dead = (token: string) => until(async () => (await verdict(verifier, token)) === 'invalid')

/** A researcher's access token, two hops from Alice; and what it hangs from. */
async function deep() {
  // So much later that whoever was cut off before may sign in again.
  await world.advance(130)
  const { session, sid, delegation } = await world.held()
  const accepted = (await world.accept(delegation)).body.access_token as string
  const token = (await world.continue(accepted, {}, 'researcher')).body.access_token as string
  const other = (await world.continue(session)).body.access_token as string
  return { session, sid, accepted, token, other, claims: claimsOf(token), kid: headerOf(token)['kid'] as string }
}
type Deep = Awaited<ReturnType<typeof deep>>

/** Written as any broker would; without what an operator's order does besides, so that Alice may sign in again. */
async function cutOff(dimension: Dimension, id: string): Promise<void> {
  const expiresAtMs = world.clock.nowMs() + 3_600_000
  await world.broker.cutoffs.write(world.broker.store.control, [{ entry: 'cutoff', dimension, id, expiresAtMs }])
}

describe('what was revoked is refused', () => {
  const places: Readonly<Record<Exclude<Dimension, 'key'>, (held: Deep) => string>> = {
    node: ({ claims }) => (claims['anc'] as string[])[0] ?? '',
    session: ({ sid }) => sid,
    session_access: ({ sid }) => sid,
    agent: () => 'orchestrator',
    agent_access: () => 'researcher',
    agent_version: () => 'orchestrator|1',
    user: () => 'user:corp:alice',
    user_access: () => 'user:corp:alice',
    pair_access: () => 'user:corp:alice|orchestrator',
    user_agent: () => 'user:corp:alice|researcher',
    issuer: () => 'corp',
    resource: () => WAREHOUSE,
    shard: ({ sid }) => shardName(sid),
    everything: () => '*',
    // All that this token opens; one that opens more lives on.
    tool: () => `${WAREHOUSE}|query`,
    // Kills no token: a sign-in.
    issuer_sign_ins: () => 'corp',
  }

  test.each(
    Object.entries(places) as [Dimension, (held: Deep) => string][],
  )('a cut-off of the dimension %s is at the verifier what it is at the broker', async (dimension, place) => {
    const held = await deep()
    const { token } = held
    await until(async () => (await verdict(verifier, token)) === 'believed')
    await cutOff(dimension, place(held))
    const killsNoToken = dimension === 'issuer_sign_ins'
    if (!killsNoToken) await dead(token)
    const { status, body } = await world.introspect(token)
    // Nor does anybody know, after that, which assertions were used before: of a shard, those that are kept there.
    if (dimension === 'everything' || (dimension === 'shard' && status === 401)) expect(status).not.toBe(200)
    else expect(body.active).toBe(killsNoToken)
    if (killsNoToken) expect(await verdict(verifier, token)).toBe('believed')
  })
})

describe('what is left', () => {
  test('by its own agent, and only what hangs from there', async () => {
    const { accepted, token, other } = await deep()
    await until(async () => (await verdict(verifier, token)) === 'believed')
    await world.revoke(accepted, 'researcher')
    await dead(token)
    expect(await verdict(verifier, other)).toBe('believed')
  })

  test('what was issued after the cut-off lives', async () => {
    await cutOff('agent', 'researcher')
    const { token } = await deep()
    await until(async () => (await verdict(verifier, token)) === 'believed')
  })

  test('a tool is cut off at its calls, and the token lives on', async () => {
    const { other } = await deep()
    await until(async () => (await verdict(verifier, other)) === 'believed')
    await cutOff('tool', `${WAREHOUSE}|query`)
    await until(async () => (await verifier.verify(other)).revokedTools.has('query'))
    const token = await verifier.verify(other)
    const manifest = new Map([['query', 'mcp:tools:read']])
    const refusal = toolCallRefusal(token, { tool: 'query', arguments: { table: 'revenue' } }, manifest)
    expect(refusal).toMatchObject({ error: 'insufficient_scope' })
  })

  test('the server is told of tokens it had verified, once each', async () => {
    const { sid, token, other } = await deep()
    await until(async () => (await verdict(verifier, token)) === 'believed')
    await verifier.verify(other)
    revoked.length = 0
    await cutOff('session', sid)
    await until(async () => revoked.length === 2)
    expect(new Set(revoked.map(({ jti }) => jti))).toEqual(new Set([claimsOf(token)['jti'], claimsOf(other)['jti']]))
  })
})

describe('what nobody can know is refused', () => {
  test('before the first complete view, whatever was chosen', async () => {
    const lost = feedVerifier(world, {
      at: () => 'http://127.0.0.1:1',
      revocations: { whenStale: 'accept' },
      door: fromBroker,
    })
    const { token } = await deep()
    expect(await verdict(lost, token)).toBe('unavailable')
    expect(lost.revocations.state).toMatchObject({ ready: false, fresh: false, via: undefined })
    await lost.revocations.close()
    await expect(lost.revocations.ready()).rejects.toThrow('closed')
  })

  test('after it was closed', async () => {
    const closed = feedVerifier(world, { at })
    await closed.revocations.ready()
    const { token } = await deep()
    await until(async () => (await verdict(closed, token)) === 'believed')
    await closed.revocations.close()
    expect(await verdict(closed, token)).toBe('unavailable')
  })

  test('a bound shorter than two heartbeats is refused when it is set', () => {
    expect(() => feedVerifier(world, { at, revocations: { staleAfterMs: 1_999 } })).toThrow(TypeError)
    expect(() => feedVerifier(world, { at, revocations: { staleAfterMs: Number.NaN } })).toThrow(TypeError)
  })
})

describe('where no stream gets through', () => {
  test('it polls, and hears of revocations all the same', async () => {
    const polling = feedVerifier(world, {
      at,
      streams: async () => {
        throw new Error('something in between collects the answer')
      },
    })
    await polling.revocations.ready()
    expect(polling.revocations.state).toMatchObject({ via: 'poll', fresh: true })
    const { sid, token } = await deep()
    await until(async () => (await verdict(polling, token)) === 'believed')
    await cutOff('session', sid)
    await until(async () => (await verdict(polling, token)) === 'invalid')
    await polling.revocations.close()
  })
})

describe('the key that it is signed with', () => {
  // The last: there is no other to sign with afterwards.
  test('a cut-off of the dimension key kills whatever it has signed', async () => {
    const { token, kid } = await deep()
    await until(async () => (await verdict(verifier, token)) === 'believed')
    await cutOff('key', kid)
    await dead(token)
  })
})

/** Keys are read where they are; only the feed is away. */
async function fromBroker({ url, form }: { url: string; form?: URLSearchParams }): Promise<string> {
  if (form !== undefined) throw new Error('away')
  const response = await fetch(url.replace('http://127.0.0.1:1', at()))
  return response.text()
}
