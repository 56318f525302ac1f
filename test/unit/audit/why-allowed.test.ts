/** Weeks later, when the session is long forgotten: what exactly did the broker allow? (DESIGN §8) */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sha256 } from '../../../src/kernel/digest.ts'
import { type Claims, managementToken } from '../../support/hops.ts'
import { type Answer, claimsOf, startWorld, WAREHOUSE, type World } from '../../support/world.ts'

const DAY_S = 24 * 3600
const WEEKS_DAYS = 15

let world: World
let granted: readonly Answer[]
beforeAll(async () => {
  world = await startWorld()
  const { session } = await world.opened()
  const narrowed = [
    {
      type: 'mcp_tools',
      locations: [WAREHOUSE],
      tools: { query: { table: { const: 'costs' }, limit: { maximum: 7 } } },
    },
  ]
  granted = [
    await world.continue(session),
    await world.continue(session, { resource: WAREHOUSE, authorization_details: JSON.stringify(narrowed) }),
  ]
  for (let day = 0; day < WEEKS_DAYS; day += 1) await world.advance(DAY_S)
})
afterAll(() => world.close())

const recordOf = async (answer: Answer): Promise<Claims> =>
  (await world.audit(100)).find(({ id }) => id === answer.body.decision_id)
const contents = async (session: string, digest: string) =>
  world.bearer(`/admin/v1/contents/${session}/${digest}`, await managementToken(world))

test('a record names what was granted, and the text is there, letter by letter, though the session is gone', async () => {
  for (const answer of granted) {
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    const record = await recordOf(answer)
    const { body, status } = await contents(record.session, record.authority)
    expect(status).toBe(200)
    expect(body.digest).toBe(record.authority)
    expect(sha256(body.text)).toBe(record.authority)
    expect(JSON.parse(body.text)).toEqual(claimsOf(answer.body.access_token)['authorization_details'])
    expect(JSON.parse(body.text)).toEqual(answer.body.authorization_details)
    const now = await world.bearer(`/admin/v1/sessions/${record.session}`, await managementToken(world))
    expect(now.status).toBe(404)
  }
})

test('what was narrowed is another text than what it was narrowed from', async () => {
  const [whole, narrowed] = await Promise.all(granted.map(recordOf))
  expect(narrowed?.authority).not.toBe(whole?.authority)
  expect((await contents(narrowed?.session, narrowed?.authority)).body.text).toContain('"const":"costs"')
})

test('a digest that nothing is kept under is not found, whatever it looks like', async () => {
  const [record] = await Promise.all(granted.map(recordOf))
  for (const digest of [sha256('another'), '__proto__', '*', '..%2F..', '%00', 'x'.repeat(3_000)]) {
    const { status, body } = await contents(record?.session, digest)
    expect([digest, status, body.error_reason]).toEqual([digest, 404, 'not_found'])
  }
})

test('reading it is recorded, as every reading by an operator', async () => {
  const record = await recordOf(granted[0] as Answer)
  await contents(record.session, record.authority)
  expect((await world.audit(1))[0]).toMatchObject({ event: 'admin.read', outcome: 'granted', by: 'operator:ops' })
})
