/**
 * What happens beside a brake (DESIGN §7): tokens decided while one is being entered, halts of several sessions that hold the same
 * agent, and people who would let go on what they answer for.
 */
import { afterEach, beforeEach, expect, it } from 'vitest'
import { askingWarehouse, callOf, newAttempt, warehouseAt } from '../support/calls.ts'
import { managementToken, walk } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { registryDocument, SLACK, startWorld, WIKI, type World } from '../support/world.ts'

const DRIFT = { contractAfter: 3, haltAfter: 5, windowSeconds: 600 }

let idp: TestIssuer
let world: World
beforeEach(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, settings: { drift: DRIFT }, registry: askingWarehouse(idp) })
})
afterEach(async () => {
  await world.close()
  await idp.close()
})

const outside = async (session: string, times: number, client = 'orchestrator') => {
  for (let ask = 0; ask < times; ask += 1) await world.continue(session, { resource: WIKI }, client)
}
const review = async (sid: string, action: string) =>
  world.bearer(`/admin/v1/sessions/${sid}/review`, await managementToken(world), 'POST', { action, reason: 'seen' })
const stateOf = async (sid: string) =>
  (await world.bearer(`/admin/v1/sessions/${sid}`, await managementToken(world))).body.state
const blocks = async (): Promise<readonly string[]> =>
  (await world.bearer('/admin/v1/blocks', await managementToken(world))).body.blocks.map(
    ({ kind, id }: { kind: string; id: string }) => `${kind} ${id}`,
  )

/** Asks for a token to send messages the moment after the next cut-off is written, before the session's own record says more. */
function issuedBetween(session: string): { readonly tokens: string[] } {
  const { cutoffs } = world.broker
  const write = cutoffs.write.bind(cutoffs)
  const tokens: string[] = []
  let isFirst = true
  cutoffs.write = async (store, entries) => {
    const written = await write(store, entries)
    if (!isFirst) return written
    isFirst = false
    const { body } = await world.continue(session, { resource: SLACK })
    if (body.access_token !== undefined) tokens.push(body.access_token)
    return written
  }
  return { tokens }
}

it('a token decided between the cut-off and the record of a contraction is dead once the session is contracted', async () => {
  const { session, sid } = await world.opened()
  await outside(session, DRIFT.contractAfter - 1)
  const between = issuedBetween(session)
  await outside(session, 1)
  expect(await stateOf(sid)).toBe('contracted')
  expect(between.tokens).toHaveLength(1)
  expect((await world.introspect(between.tokens[0] ?? '', 'slack-server')).body.active).toBe(false)
})

it('and so is one decided while a reviewer contracts the session', async () => {
  const { session, sid } = await world.opened()
  const management = await managementToken(world)
  const between = issuedBetween(session)
  const body = { action: 'contract', reason: 'seen' }
  expect((await world.bearer(`/admin/v1/sessions/${sid}/review`, management, 'POST', body)).body.state).toBe(
    'contracted',
  )
  expect(between.tokens).toHaveLength(1)
  expect((await world.introspect(between.tokens[0] ?? '', 'slack-server')).body.active).toBe(false)
})

it.each([
  'resume',
  'contract',
  'revoke',
])('to %s one session leaves halted what another halted session holds', async (action) => {
  const harmless = await walk(world)
  const drifted = await walk(world)
  await outside(harmless.root.token, 1)
  const warehouse = await warehouseAt(world)
  for (let ask = 0; ask < DRIFT.haltAfter; ask += 1) {
    const next = await world.continue(drifted.researcher.token, {}, 'researcher')
    if (next.status !== 200) break
    await warehouse.decide(callOf(next.body.access_token, { tool: 'drop_table', attempt: newAttempt() }))
  }
  expect(await stateOf(drifted.root.claims.sid)).toBe('halted')
  const held = (await blocks()).filter((block) => block.includes('researcher'))
  expect(held).toEqual(['halt user:corp:alice|researcher'])
  const answer = await review(harmless.root.claims.sid, action)
  expect(await blocks()).toContain('halt user:corp:alice|researcher')
  if (answer.status === 200) expect(answer.body.still_halted_by).toEqual([drifted.root.claims.sid])
  expect((await review(drifted.root.claims.sid, 'resume')).status).toBe(200)
  expect((await blocks()).filter((block) => block.startsWith('halt'))).toEqual([])
})

it('whoever answers for a halted agent does not lift its block by name either; somebody else does', async () => {
  await world.close()
  const document = registryDocument(idp) as { readonly agents: readonly object[] }
  const agents = document.agents.map((agent) => ({ ...agent, owner: 'user:corp:bob' }))
  const roles = ['security'] as const
  const config = { admins: ['bob', 'alice'].map((sub) => ({ user: `corp:${sub}`, roles })) }
  world = await startWorld({ issuer: idp, settings: { drift: DRIFT }, registry: { agents }, config })
  const { session, sid } = await world.opened()
  await outside(session, DRIFT.haltAfter)
  expect(await stateOf(sid)).toBe('halted')
  let logins = 0
  const login = async (sub: string) => {
    logins += 1
    const token = world.idToken({ sub, aud: 'errand-admins', nonce: `login-${logins}`, auth_time: world.now() - 1 })
    const headers = { 'Content-Type': 'application/json' }
    const answer = await world.request('/admin/v1/login', { method: 'POST', headers, body: JSON.stringify({ token }) })
    return answer.body.token as string
  }
  const lift = async (sub: string, kind: string) =>
    world.bearer('/admin/v1/lifts', await login(sub), 'POST', { kind, id: 'user:corp:alice|orchestrator' })
  for (const kind of ['halt', 'pair']) {
    const own = await lift('bob', kind)
    expect([own.status, own.body.error_reason], JSON.stringify(own.body)).toEqual([403, 'review_same_person'])
  }
  expect(await blocks()).toContain('halt user:corp:alice|orchestrator')
  expect((await lift('alice', 'pair')).status).toBe(200)
})

it('every record about a session says what set its work off, who ends it too', async () => {
  const { root, researcher } = await walk(world)
  const { sid } = root.claims
  await outside(root.token, DRIFT.contractAfter)
  await world.introspect(root.token)
  await world.revoke(researcher.token, 'researcher')
  expect((await world.bearer(`/sessions/${sid}/agents/researcher`, world.userToken(), 'DELETE')).status).toBe(200)
  expect((await world.bearer(`/sessions/${sid}`, world.userToken(), 'DELETE')).status).toBe(200)
  await review(sid, 'revoke')
  const about = (await world.audit(500)).filter(({ session }) => session === sid)
  const events = new Set(about.map(({ event }) => event))
  for (const event of ['token.revoke', 'session.revoke', 'session.review', 'session.contracted']) {
    expect(events).toContain(event)
  }
  const without = about.filter(({ origin, event }) => origin === undefined && event !== 'session.read')
  expect(without.map(({ event, outcome, reason }) => `${event} ${outcome} ${reason}`)).toEqual([])
})
