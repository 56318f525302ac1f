/** An agent without a key of its own: its platform's token says who it is, is its grant, or opens a session of its own. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Refused, workloadJwt } from '../../../../src/sdk/agent/agent.ts'
import { type AgentWorld, agentWorld } from '../../../support/agent-world.ts'
import { JWT_BEARER, startWorkloadWorld, type WorkloadWorld } from '../../../support/workloads.ts'
import { claimsOf, WIKI } from '../../../support/world.ts'

let at: WorkloadWorld
let here: AgentWorld

beforeAll(async () => {
  at = await startWorkloadWorld()
  here = agentWorld(at.world, {})
})
afterAll(() => at?.close())

const INTENT = { purpose: 'Nightly look at the wiki', tools: { [WIKI]: { search: {}, read_page: {} } } } as const

test.each([
  { what: 'its client assertion', asGrant: false },
  { what: 'its grant (Workload Identity Federation)', asGrant: true },
])('works on its own with the token as $what', async ({ asGrant }) => {
  const agent = here.agent('reporter', { credential: workloadJwt(() => at.podToken(), { asGrant }) })
  const { secret } = await agent.token({ resource: WIKI })
  expect(claimsOf(secret.reveal())).toMatchObject({ sub: 'agent:reporter', client_id: 'reporter', aud: WIKI })
  expect(claimsOf(secret.reveal())).not.toHaveProperty('act')
  const grant = asGrant ? JWT_BEARER : 'client_credentials'
  expect(here.asked.at(-1)?.get('grant_type')).toBe(grant)
})

test('opens a session of its own with a second token of its workload, and not with the one it authenticates with', async () => {
  const token = at.podToken()
  const agent = here.agent('reporter', { credential: workloadJwt(() => token, { asGrant: true }) })
  const session = await agent.openSession({ intent: INTENT, asItself: at.jobToken() })
  const { secret } = await session.token({ resource: WIKI })
  expect(claimsOf(secret.reveal())).toMatchObject({ sub: 'agent:reporter', sid: session.id })
  await expect(agent.openSession({ intent: INTENT, asItself: token })).rejects.toThrow(Refused)
})
