/**
 * Drift at the token endpoint (R135, R136; DESIGN §7): what a session asks for outside what it is for is refused, counted with its
 * record, and contracts it, then halts it until a reviewer says otherwise.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { details, granted, intent, managementToken, tools, walk } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { registryDocument, SLACK, startWorld, WAREHOUSE, WIKI, type World } from '../support/world.ts'

const DRIFT = { contractAfter: 3, haltAfter: 5, windowSeconds: 600 }

let idp: TestIssuer
let world: World
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, settings: { drift: DRIFT } })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

/** For which nothing has been counted yet. */
async function freshWorld(): Promise<World> {
  await world.close()
  world = await startWorld({ issuer: idp, settings: { drift: DRIFT } })
  return world
}

async function outside(session: string, times: number): Promise<void> {
  for (let ask = 0; ask < times; ask += 1) {
    expect((await world.continue(session, { resource: WIKI })).body.error_reason).toBe('resource_not_in_session')
  }
}

async function review(session: string, action: string, reason = 'looked at it') {
  return world.bearer(`/admin/v1/sessions/${session}/review`, await managementToken(world), 'POST', { action, reason })
}

const stateOf = async (session: string) =>
  (await world.bearer(`/admin/v1/sessions/${session}`, await managementToken(world))).body.state
const events = async (session: string) =>
  (await world.audit(200)).filter((record) => record.session === session && record.event.startsWith('session.'))

describe('a session that asks for what it is not for', () => {
  it('is contracted at the threshold: its tokens die, the next are for reading alone, and it is on record once', async () => {
    await freshWorld()
    const { session, sid } = await world.opened()
    const slack = await granted(world.continue(session, { resource: SLACK }))
    const warehouse = await granted(world.continue(session))
    await outside(session, 2)
    expect(await stateOf(sid)).toBe('active')
    expect((await world.introspect(slack.token, 'slack-server')).body.active).toBe(true)
    await outside(session, 1)
    expect(await stateOf(sid)).toBe('contracted')
    expect((await world.introspect(slack.token, 'slack-server')).body.active).toBe(false)
    expect((await world.introspect(warehouse.token)).body.active).toBe(false)

    const refused = await world.continue(session, { resource: SLACK })
    expect(refused.body.error_reason).toBe('nothing_granted')
    expect(refused.body.missing[0]).toContain('the session is contracted')
    const again = await granted(world.continue(session))
    expect((await world.introspect(again.token)).body.active).toBe(true)

    const [contracted, ...more] = (await events(sid)).filter(({ event }) => event === 'session.contracted')
    expect(more).toEqual([])
    expect(contracted).toMatchObject({ outcome: 'granted', by: 'agent:orchestrator', origin: 'user_request' })
    const refusals = (await world.audit(200)).filter(({ reason }) => reason === 'resource_not_in_session')
    expect(contracted.asks).toEqual(refusals.map(({ id }) => id).reverse())
    expect(refusals.map(({ conformance }) => conformance?.drift)).toEqual([2, 1, undefined])
  })

  it('is halted at the next: nothing issues, nothing begins anew, and a reviewer finds and resumes it, nobody waiting', async () => {
    await freshWorld()
    const { session, sid } = await world.opened()
    const other = await world.opened()
    const othersAccess = await granted(world.continue(other.session))
    await outside(session, 5)
    expect(await stateOf(sid)).toBe('halted')
    expect((await world.continue(session)).body.error_reason).toBe('session_not_issuing')
    // Whatever else the agent has, or would get, for this user.
    expect((await world.introspect(othersAccess.token)).body.active).toBe(false)
    expect((await world.continue(other.session)).body.error_reason).toBe('principal_blocked')
    expect((await world.open()).body.error_reason).toBe('evidence_blocked')
    await world.advance(120)
    const later = world.idToken({ auth_time: world.now() - 1 })
    expect((await world.open({ subject_token: later })).body.error_reason).toBe('principal_blocked')
    // Another user's work goes on.
    await granted(world.open({ subject_token: world.idToken({ sub: 'bob' }) }))

    const { body } = await world.bearer('/admin/v1/sessions?state=halted', await managementToken(world))
    expect(body.sessions).toMatchObject([{ session: sid, state: 'halted', drift: 5, origin: 'user_request' }])

    expect((await review(sid, 'resume')).body).toMatchObject({ state: 'active', lifted: 2 })
    const issued = await granted(world.continue(session, { resource: SLACK }))
    expect((await world.introspect(issued.token, 'slack-server')).body.active).toBe(true)
    await granted(world.continue(other.session))
    await granted(world.open())
    // Counted from nothing.
    await outside(session, 2)
    expect(await stateOf(sid)).toBe('active')
    const records = (await events(sid)).filter(({ event }) => event === 'session.review')
    expect(records.map(({ outcome }) => outcome).sort()).toEqual(['granted', 'unfinished'])
    expect(records[0]).toMatchObject({ by: 'operator:ops', detail: expect.stringContaining('looked at it') })
  })

  it('may be left to reading, or ended for good: then a later sign-in begins anew', async () => {
    await freshWorld()
    const { session, sid } = await world.opened()
    await outside(session, 5)
    expect((await review(sid, 'contract')).body).toMatchObject({ state: 'contracted' })
    await granted(world.continue(session))
    expect((await world.continue(session, { resource: SLACK })).body.error_reason).toBe('nothing_granted')
    expect((await review(sid, 'resume')).body).toMatchObject({ state: 'active', lifted: 0 })
    await outside(session, 5)
    const { body } = await review(sid, 'revoke')
    expect(body).toMatchObject({ state: 'revoked', lifted: 2, revoked: expect.anything() })
    expect((await world.continue(session)).body.error_reason).toMatch(/session_not_issuing|subject_token_revoked/)
    expect((await world.open()).status).toBe(400)
    await world.advance(130)
    await granted(world.open({ subject_token: world.idToken({ auth_time: world.now() - 1, iat: world.now() - 1 }) }))
    expect((await review(sid, 'resume')).body.error_reason).toBe('transition_illegal')
  })

  it('counts what its sub-agents ask for, and halts every agent that passed it on', async () => {
    await freshWorld()
    const { scribe, root } = await walk(world)
    const wider = { authorization_details: details(tools(WAREHOUSE, { query: {} })) }
    for (let ask = 0; ask < 5; ask += 1) {
      expect((await world.continue(scribe.token, wider, 'scribe')).body.error_reason).toBe('details_widening')
    }
    expect(await stateOf(root.claims.sid)).toBe('halted')
    const { body } = await world.bearer('/admin/v1/blocks', await managementToken(world))
    const halted = body.blocks.map(({ kind, id }: { kind: string; id: string }) => `${kind} ${id}`)
    expect(halted.sort()).toEqual(
      ['orchestrator', 'researcher', 'scribe'].map((agent) => `halt user:corp:alice|${agent}`),
    )
  })

  it('delegating what is not held counts, too; a request that fails for another reason does not', async () => {
    await freshWorld()
    const { session, sid } = await world.opened()
    for (let ask = 0; ask < 4; ask += 1) {
      const details = JSON.stringify([intent(), tools(WAREHOUSE, { insert_rows: {} })])
      expect((await world.delegate(session, { authorization_details: details })).body.error_reason).toBe(
        'details_widening',
      )
      expect((await world.continue(session, { resource: 'https://nobody.example/mcp' })).status).toBe(400)
      expect((await world.continue(session, { scope: 'mcp:tools:write' })).status).toBe(400)
    }
    const { body } = await world.bearer(`/admin/v1/sessions/${sid}`, await managementToken(world))
    expect(body).toMatchObject({ state: 'contracted', drift: 4 })
  })
})

describe('a new session', () => {
  it('does not begin at nothing: what the pair has asked for before counts', async () => {
    await freshWorld()
    const states: string[] = []
    for (let opened = 0; opened < 5; opened += 1) {
      const { session, sid } = await world.opened()
      await outside(session, 1)
      states.push(await stateOf(sid))
      if (states.at(-1) !== 'halted') await world.revoke(session)
    }
    expect(states).toEqual(['active', 'active', 'contracted', 'contracted', 'halted'])
    const signedInAnew = world.idToken({ nonce: 'anew' })
    expect((await world.open({ subject_token: signedInAnew })).body.error_reason).toBe('principal_blocked')
  })

  it('is counted afresh once the window is over', async () => {
    await freshWorld()
    for (let opened = 0; opened < 3; opened += 1) {
      const { session, sid } = await world.opened()
      await outside(session, 2)
      expect(await stateOf(sid)).toBe('active')
      await world.advance(DRIFT.windowSeconds + 1)
    }
  })
})

describe('a review', () => {
  it('says why, and is refused without', async () => {
    await freshWorld()
    const { sid } = await world.opened()
    for (const reason of ['', ' ', 'two\u202elines', undefined]) {
      const body = { action: 'contract', ...(reason === undefined ? {} : { reason }) }
      const answer = await world.bearer(`/admin/v1/sessions/${sid}/review`, await managementToken(world), 'POST', body)
      expect(answer.status, String(reason)).toBe(400)
    }
    expect((await review(sid, 'contract')).body.state).toBe('contracted')
    expect((await review('ses_none', 'resume')).status).toBe(404)
    expect((await review(sid, 'contract')).body.error_reason).toBe('transition_illegal')
  })

  it('is nobody’s who answers for the agent; to end it is anybody’s', async () => {
    await world.close()
    const agents = (registryDocument(idp)['agents'] as { client_id: string }[]).map((agent) => ({
      ...agent,
      owner: 'user:corp:bob',
    }))
    world = await startWorld({
      issuer: idp,
      settings: { drift: DRIFT },
      registry: { agents },
      config: {
        admins: [
          { user: 'corp:bob', roles: ['security'] },
          { user: 'corp:alice', roles: ['security'] },
        ],
      },
    })
    let logins = 0
    const login = async (sub: string) => {
      logins += 1
      const token = world.idToken({ sub, aud: 'errand-admins', nonce: `login-${logins}`, auth_time: world.now() - 1 })
      const answer = await world.request('/admin/v1/login', {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ token }),
      })
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      return answer.body.token as string
    }
    const { session, sid } = await world.opened()
    await outside(session, 5)
    const path = `/admin/v1/sessions/${sid}/review`
    const ordered = { action: 'resume', reason: 'mine, so fine' }
    const own = await world.bearer(path, await login('bob'), 'POST', ordered)
    expect([own.status, own.body.error_reason]).toEqual([403, 'review_same_person'])
    expect(await stateOf(sid)).toBe('halted')
    expect((await world.bearer(path, await login('alice'), 'POST', ordered)).body.state).toBe('active')
    expect((await world.bearer(path, await login('bob'), 'POST', { ...ordered, action: 'revoke' })).status).toBe(200)
  })
})
