/**
 * The trail of real brokers, on Redis and on the embedded store: whichever is asked has every record, each once, page by page, while
 * others go on writing and the log is sequenced under it.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet } from '../support/broker-process.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { INTENT, patient, TYPE } from '../support/world.ts'

const SESSIONS = 12

describe.each(['redis', 'embedded'] as const)('on %s', (kind) => {
  let redis: RunningRedis | undefined
  let fleet: Fleet
  let brokers: readonly BrokerProcess[]
  let token: string
  beforeAll(async () => {
    redis = kind === 'redis' ? await startRedis() : undefined
    const directory = scratchDirectory('errand-audit-trail-')
    const store =
      redis === undefined ? ({ kind: 'embedded', directory } as const) : ({ kind: 'redis', url: redis.url } as const)
    fleet = await startFleet(() => ({ store }))
    const first = patient(await fleet.start())
    brokers = redis === undefined ? [first, first] : [first, patient(await fleet.start())]
    token = await fleet.managementToken()
  })
  afterAll(async () => {
    await fleet?.close()
    await redis?.stop()
  })

  async function open(broker: BrokerProcess): Promise<string> {
    const opened = await broker.exchange('orchestrator', {
      subject_token: broker.idToken({ sub: 'alice', aud: 'orchestrator-at-idp' }),
      subject_token_type: TYPE.id,
      requested_token_type: TYPE.session,
      authorization_details: JSON.stringify(INTENT),
    })
    expect(opened.status, JSON.stringify(opened.body)).toBe(200)
    return opened.body.session
  }

  // biome-ignore lint/suspicious/noExplicitAny: records of many shapes
  async function page(broker: BrokerProcess, query: Readonly<Record<string, string>>): Promise<any> {
    const answer = await broker.bearer(`/admin/v1/audit?${new URLSearchParams(query)}`, token)
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body
  }

  test('every record is found at every broker, at once; pages have each once, whatever is written between them', async () => {
    const [one, other] = brokers as [BrokerProcess, BrokerProcess]
    const ids: string[] = []
    for (let n = 0; n < SESSIONS; n++) {
      ids.push((await page(n % 2 === 0 ? other : one, { event: 'session.open', limit: '1' })).records[0]?.id)
      await open(n % 2 === 0 ? one : other)
      const [newest] = (await page(n % 2 === 0 ? other : one, { event: 'session.open', limit: '1' })).records
      expect(newest.id).not.toBe(ids.at(-1))
    }
    const filter = { event: 'session.open', agent: 'orchestrator', user: 'user:corp:alice' }
    const all: string[] = (await page(one, { ...filter, limit: '200' })).records.map(({ id }: { id: string }) => id)
    expect(new Set(all).size).toBe(SESSIONS)
    const paged: string[] = []
    let after: string | undefined
    do {
      const body = await page(other, { ...filter, limit: '3', ...(after === undefined ? {} : { after }) })
      paged.push(...body.records.map(({ id }: { id: string }) => id))
      after = body.after
      await open(one)
    } while (after !== undefined)
    expect(paged).toEqual(all)
  })

  test('conjunctions that nothing is, and times before anything, find nothing and say that there is no more', async () => {
    const [one] = brokers as [BrokerProcess]
    expect(await page(one, { event: 'session.open', class: 'service' })).toEqual({
      records: [],
      looked_at: expect.any(Number),
      reach: { oldest: expect.any(String), pruned: 0 },
    })
    expect((await page(one, { until: '2001-01-01T00:00:00Z' })).records).toEqual([])
  })
})
