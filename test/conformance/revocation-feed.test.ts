/** The protocol of the feed of revocations (`GET /revocations`): who may follow, what it tells and when, and how it resumes. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FEED_KEPT_S } from '../../src/kernel/feed-limits.ts'
import { follow, requestStream, salted } from '../support/feed.ts'
import { kill, refused } from '../support/hops.ts'
import { type Answer, startWorld, type World } from '../support/world.ts'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

const user = (sub: string) => `user:corp:${sub}`
const token = (client = 'warehouse-server', scope = 'revocations') => world.apiToken(client, scope)
const poll = async (query = '', bearer?: string): Promise<Answer> =>
  world.bearer(`/revocations${query}`, bearer ?? (await token()))

describe('who may follow', () => {
  const asked = async (bearer: string) => () => world.bearer('/revocations', bearer)

  test('without a token nobody learns anything', async () => {
    await refused(world, () => world.request('/revocations'), {
      status: 401,
      error: 'invalid_token',
      reason: 'bearer_missing',
      stranger: true,
    })
  })

  test('a service needs the scope revocations', async () => {
    const request = await asked((await world.opened()).session)
    await refused(world, request, { status: 401, error: 'invalid_token', reason: 'bearer_invalid', stranger: true })
  })

  test('an agent verifies no tokens: it may not, whatever its scopes', async () => {
    const request = await asked(await token('orchestrator'))
    await refused(world, request, { status: 403, error: 'insufficient_scope', reason: 'bearer_scope', stranger: true })
  })

  test('an API token for something else is not enough', async () => {
    const request = await asked(await token('orchestrator', 'sessions'))
    await refused(world, request, { status: 403, error: 'insufficient_scope', reason: 'bearer_scope', stranger: true })
  })

  test('HEAD opens nothing', async () => {
    const headers = { Authorization: `Bearer ${await token()}`, Accept: 'text/event-stream' }
    const answer = await world.broker.app.request('/revocations', { method: 'HEAD', headers })
    expect(answer.status).toBe(405)
  })

  test('whoever begins to follow is on record', async () => {
    const stream = await follow(world)
    const [record] = await world.audit(1)
    expect(record).toMatchObject({ event: 'revocations.follow', by: 'service:warehouse-server', outcome: 'granted' })
    await stream.close()
  })
})

describe('a stream', () => {
  test('begins with a snapshot: history, number, salt, and every cut-off by its salted id', async () => {
    await kill(world, { dimension: 'user', user: user('told-first') })
    const stream = await follow(world)
    const [first] = stream.events
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream')
    expect(stream.response.headers.get('cache-control')).toBe('no-store')
    expect(first).toMatchObject({ event: 'snapshot', id: `${first?.data.epoch}.${first?.data.seq}` })
    const id = salted(first?.data.salt, 'user', user('told-first'))
    const cutoff = first?.data.cutoffs.find((one: { id: string }) => one.id === id)
    expect(cutoff).toEqual({
      dimension: 'user',
      id,
      seq: expect.any(Number),
      expires_at_ms: expect.any(Number),
    })
    expect(cutoff.seq).toBeLessThanOrEqual(first?.data.seq)
    expect(JSON.stringify(stream.events)).not.toContain('told-first')
    await stream.close()
  })

  test('tells of a cut-off at once, as a continuation of what was told before', async () => {
    const stream = await follow(world)
    const before = await stream.heartbeat()
    await kill(world, { dimension: 'user', user: user('live') })
    const event = await stream.told('user', user('live'))
    expect(event).toMatchObject({ event: 'cutoffs', data: { previous: before.data.seq } })
    expect(event.id).toBe(`${before.data.epoch}.${event.data.seq}`)
    const after = await stream.heartbeat()
    expect(after.data.seq).toBe(event.data.seq)
    await stream.close()
  })

  test('a heartbeat comes each second, with the time of the store that it is true at', async () => {
    const stream = await follow(world)
    const first = await stream.heartbeat()
    const begun = performance.now()
    await world.advance(1)
    const second = await stream.heartbeat()
    expect(performance.now() - begun).toBeLessThan(5_000)
    expect(first.data).toEqual({ epoch: expect.any(String), seq: expect.any(Number), as_of: expect.any(Number) })
    expect(second.data.as_of).toBeGreaterThan(first.data.as_of)
    expect(second.data.as_of).toBeLessThanOrEqual(world.clock.nowMs())
    await stream.close()
  })

  test('blocks and policy are nobody else’s business: their numbers pass, and nothing of them', async () => {
    const stream = await follow(world)
    const at = stream.events.length
    await kill(world, { dimension: 'agent', agent: 'scribe', block: true })
    const event = await stream.told('agent', 'scribe')
    expect(event.data.cutoffs.map((one: { dimension: string }) => one.dimension)).not.toContain('block')
    for (const { data } of stream.events.slice(at)) {
      for (const cutoff of data.cutoffs ?? []) {
        expect(Object.keys(cutoff).sort()).toEqual(['dimension', 'expires_at_ms', 'id', 'seq'])
      }
    }
    await stream.close()
  })

  test('resumes where it was, with what was missed and nothing else', async () => {
    const first = await follow(world)
    const { id } = await first.heartbeat()
    await first.close()
    await kill(world, { dimension: 'user', user: user('missed') })
    const second = await follow(world, { lastEventId: id as string })
    const [event] = second.events
    expect(event?.event).toBe('cutoffs')
    expect(`${first.events[0]?.data.epoch}.${event?.data.previous}`).toBe(id)
    const wanted = salted(first.events[0]?.data.salt, 'user', user('missed'))
    expect(event?.data.cutoffs.map((one: { id: string }) => one.id)).toEqual([wanted])
    await second.close()
  })

  test('with a place of another history, of no history, or ahead of this broker, it begins anew', async () => {
    const stream = await follow(world)
    const { epoch, seq } = (await stream.heartbeat()).data
    await stream.close()
    for (const lastEventId of [`other.${seq}`, 'nonsense', '', `${epoch}.${seq + 1_000_000}`, `${epoch}.-1`]) {
      const again = await follow(world, { lastEventId })
      expect(again.events[0]?.event, lastEventId).toBe('snapshot')
      await again.close()
    }
  })

  test('a cut-off says until when it may concern a living token', async () => {
    await kill(world, { dimension: 'user', user: user('old') })
    const never = world.clock.nowMs() + 7 * 24 * 3600_000
    const ofOldKey = { entry: 'cutoff', dimension: 'key', id: 'an-old-key', expiresAtMs: never } as const
    await world.broker.cutoffs.write(world.broker.store.control, [ofOldKey])
    const stream = await follow(world)
    const wanted = salted(stream.events[0]?.data.salt, 'user', user('old'))
    const held = stream.events[0]?.data.cutoffs.find((one: { id: string }) => one.id === wanted)
    expect(held.expires_at_ms - world.clock.nowMs()).toBeLessThanOrEqual(FEED_KEPT_S * 1000)
    const ofKey = stream.events[0]?.data.cutoffs.find((one: { dimension: string }) => one.dimension === 'key')
    // Whoever has stolen a key signs new tokens with it, for as long as it is anywhere believed.
    expect(ofKey.expires_at_ms).toBe(never)
    await stream.close()
  })
})

describe('a poll', () => {
  test('without a place it begins with a snapshot, and says how fresh it is', async () => {
    const { status, body } = await poll()
    expect(status).toBe(200)
    expect(body).toEqual({
      epoch: expect.any(String),
      seq: expect.any(Number),
      as_of: expect.any(Number),
      salt: expect.any(String),
      cutoffs: expect.any(Array),
    })
  })

  test('waits for something to tell, and tells it at once', async () => {
    const { body: begun } = await poll()
    const bearer = await token()
    const waiting = poll(`?since=${begun.epoch}.${begun.seq}&wait_seconds=20`, bearer)
    await kill(world, { dimension: 'user', user: user('polled') })
    const { body } = await waiting
    const id = salted(begun.salt, 'user', user('polled'))
    expect(body).toMatchObject({ epoch: begun.epoch, previous: begun.seq, cutoffs: [{ dimension: 'user', id }] })
    expect(body.as_of).toBeGreaterThanOrEqual(begun.as_of)
  })

  test('answers with nothing when its time is up', async () => {
    const { body: begun } = await poll()
    const { body } = await poll(`?since=${begun.epoch}.${begun.seq}&wait_seconds=1`)
    expect(body).toMatchObject({ previous: begun.seq, seq: begun.seq, cutoffs: [], as_of: expect.any(Number) })
  })

  test.each([
    '?since=nonsense',
    '?wait_seconds=31',
    '?wait_seconds=1.5',
    '?sinces=a.1',
  ])('%s is malformed', async (query) => {
    const bearer = await token()
    const { status, body } = await world.bearer(`/revocations${query}`, bearer)
    expect([status, body.error]).toEqual([400, 'invalid_request'])
  })
})

describe('the end of a stream', () => {
  test('its token’s end of life ends it', async () => {
    const stream = await follow(world)
    await stream.heartbeat()
    await world.advance(301)
    await stream.ended()
  })

  test('cutting its caller off ends it within a heartbeat', async () => {
    const stream = await follow(world, { client: 'calendar-server' })
    await stream.heartbeat()
    await kill(world, { dimension: 'agent', agent: 'calendar-server' })
    await stream.ended()
    // A new token, issued after the cut-off, follows again.
    const again = await follow(world, { client: 'calendar-server' })
    await again.close()
  })

  test('blocking its caller ends it, and the next is refused', async () => {
    const bearer = await token('slack-server')
    const stream = await follow(world, { token: bearer })
    await stream.heartbeat()
    await kill(world, { dimension: 'agent', agent: 'slack-server', block: true })
    await stream.ended()
    expect((await requestStream(world, { token: bearer })).status).toBe(401)
  })
})
