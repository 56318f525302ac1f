/** The draft of a review: a policy that can be published, in which agents have what they use and no more. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { narrowedDraft } from '../../../../src/cli/records/narrowed-draft.ts'
import { managementToken } from '../../../support/hops.ts'
import { publicJwk, testKey } from '../../../support/keys.ts'
import { startWorld, WAREHOUSE, type World } from '../../../support/world.ts'

/** The embedded store follows no longer step of the clock. */
const STEP_S = 86_400 - 60
let world: World
beforeAll(async () => {
  world = await startWorld()
  await world.broker.flushUsage()
})
afterAll(() => world.close())

const read = async (path: string) => (await world.bearer(`/admin/v1${path}`, await managementToken(world))).body

const clerk = {
  client_id: 'clerk',
  owner: 'team-clerks',
  environment: 'development',
  keys: [{ ...publicJwk(testKey('clerk-key')), version: '1' }],
  grant_types: ['client_credentials'],
  manifest: [{ server: 'warehouse' }],
  standing_intent: { purpose: 'Count rows', tools: { warehouse: { query: {} } } },
}

test('it keeps all that was used, and everybody else as they are; what was written over the API is named and left', async () => {
  const put = await world.request('/admin/v1/agents/clerk', {
    method: 'PUT',
    headers: { authorization: `Bearer ${await managementToken(world)}`, 'content-type': 'application/json' },
    body: JSON.stringify(clerk),
  })
  expect(put.status, JSON.stringify(put.body)).toBe(201)
  await world.broker.flushUsage()
  const { session } = await world.opened()
  const accepted = (await world.accept((await world.delegate(session)).body.access_token)).body.access_token
  for (const answer of [await world.continue(session), await world.continue(accepted, {}, 'researcher')]) {
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  }
  const alone = () => world.clientCredentials('clerk', { resource: WAREHOUSE })
  expect((await alone()).status).toBe(200)
  await world.broker.flushUsage()
  for (const step of [STEP_S, STEP_S]) await world.advance(step)
  const again = await world.opened()
  for (const answer of [await world.continue(again.session), await alone()]) expect(answer.status).toBe(200)
  await world.broker.flushUsage()

  const [review, all, api] = [await read('/review?days=1'), await read('/registry'), await read('/registry?source=api')]
  const { document, narrowed, left } = narrowedDraft(review, all.document, api.document)
  expect(narrowed).toContain('orchestrator')
  expect(left).toContain('clerk')
  expect(JSON.stringify(document)).not.toContain('"clerk"')
  const { agents: _agents, ...others } = document
  const { agents: _before, ...before } = all.document
  expect(others).toEqual(before)

  const policy = await world.broker.publisher.draft([{ name: 'draft.yaml', document }])
  const manifest = (registry: typeof policy.registry, id: string) => {
    const client = registry.client(id)
    return client?.kind === 'agent' ? client.manifest : undefined
  }
  expect(manifest(policy.registry, 'clerk')).toEqual(manifest(world.broker.publisher.published.registry, 'clerk'))
  expect(manifest(policy.registry, 'orchestrator')?.some(({ selector }) => selector.tool === undefined)).toBe(false)

  // Published, what was used goes on, and what was not is gone.
  await world.broker.publisher.publishFiles([{ name: 'world.yaml', document }], { by: 'operator:test' })
  await world.advance(120)
  const { session: later } = await world.opened()
  expect((await world.continue(later)).status).toBe(200)
  expect(narrowedDraft({}, all.document, api.document).narrowed).toEqual([])
})
