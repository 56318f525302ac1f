/**
 * A call that cannot be undone, by way of a server's library (DESIGN §7, R063): refused with whom to ask, let through once somebody
 * else has said yes, for exactly these arguments, once.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { newCallId } from '../../src/kernel/ids.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { atWork, DROP, decide, startApprovals, TABLE } from '../support/approvals.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type ServerSide, serverSide } from '../support/server-side.ts'
import type { World } from '../support/world.ts'

const MANIFEST = new Map([
  [DROP, 'mcp:tools:destructive'],
  ['list_tables', 'mcp:tools:read'],
])

let idp: TestIssuer
let world: World
let here: ServerSide
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startApprovals(idp)
  here = serverSide(world)
})
afterAll(async () => {
  await here.broker.close()
  await world.close()
  await idp.close()
})

async function begin(text: string, args: Readonly<Record<string, unknown>> = TABLE) {
  const token = await here.verifier.verify(text)
  const call = { tool: DROP, arguments: args }
  return here.broker.judge.begin({ token, bearer: new Secret(text), call, manifest: MANIFEST, id: newCallId() })
}

test('is refused with an access request, then allowed once, then refused again', async () => {
  const { access } = await atWork(world)
  const first = await begin(access)
  if (first.allowed) throw new Error('nobody was asked')
  expect(first.refusal).toMatchObject({ error: 'outside_intent', accessRequest: expect.any(Object) })
  const { id } = first.refusal.accessRequest as { id: string }
  expect((await decide(world, id, 'corp:carol')).status).toBe(200)
  expect(await begin(access, { table: 'salaries' })).toMatchObject({ allowed: false })
  const second = await begin(access)
  expect(second.allowed).toBe(true)
  if (second.allowed) await second.ended('success')
  expect(await begin(access)).toMatchObject({ allowed: false })
})
