/**
 * Nobody escapes a brake: not by asking everybody at once, at another broker, in a new session, through a sub-agent, nor while a
 * broker dies in between; and a thing that is done once is on record once (DESIGN §7). On both stores.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { accessFor, askingWarehouse, callOf, newAttempt, warehouseAt } from '../support/calls.ts'
import { details, granted, managementToken, openDeep, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { patient, SLACK, startWorld, WAREHOUSE, WIKI, type World } from '../support/world.ts'

const DRIFT = { contractAfter: 4, haltAfter: 8, windowSeconds: 600 }
const ASKS = 24

let idp: TestIssuer
let redis: RunningRedis
let users = 0
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  redis = await startRedis()
})
afterAll(async () => {
  await redis?.stop()
  await idp?.close()
})

const people = Array.from({ length: 12 }, (_, index) => ({
  issuer: 'corp',
  sub: `person-${index}`,
  groups: ['finance'],
}))

describe.each(['embedded', 'redis'] as const)('on %s', (kind) => {
  const keysDirectory = mkdtempSync(join(tmpdir(), 'errand-drift-'))
  let worlds: readonly World[]
  beforeAll(async () => {
    const store = { kind: 'redis', url: new Secret(redis.url) } as const
    const registry = { ...askingWarehouse(idp), users: people }
    const shared = { issuer: idp, keysDirectory, realClock: true, settings: { drift: DRIFT }, registry }
    worlds =
      kind === 'embedded'
        ? [patient(await startWorld(shared))]
        : [patient(await startWorld({ ...shared, store })), patient(await startWorld({ ...shared, store }))]
  })
  afterAll(async () => {
    for (const world of worlds) await world.close()
    rmSync(keysDirectory, { recursive: true, force: true })
  })

  const at = (index: number) => worlds[index % worlds.length] as World
  /** Somebody for whom nothing has been counted yet. */
  const openFor = async (sub: string, more: object = {}) => {
    const grant = await granted(at(0).open({ subject_token: at(0).idToken({ sub, ...more }) }))
    return { session: grant.token, sid: String(grant.claims.sid) }
  }
  const someone = () => {
    users += 1
    return `person-${users % people.length}`
  }
  const detail = async (sid: string) =>
    (await at(0).bearer(`/admin/v1/sessions/${sid}`, await managementToken(at(0)))).body
  const eventsOf = async (sid: string) =>
    (await at(0).audit(500)).filter(({ session }) => session === sid).map(({ event }) => event)
  const count = (events: readonly string[], event: string) => events.filter((one) => one === event).length

  it('asked all at once, of every broker: braked once each, one record each, and never again after', async () => {
    const { session, sid } = await openFor(someone())
    const answers = await Promise.all(
      Array.from({ length: ASKS }, (_, index) => at(index).continue(session, { resource: WIKI })),
    )
    expect(answers.every(({ status }) => status !== 200)).toBe(true)
    const events = await eventsOf(sid)
    expect((await detail(sid)).state).toBe('halted')
    expect(count(events, 'session.halted')).toBe(1)
    expect(count(events, 'session.contracted')).toBeLessThanOrEqual(1)
    for (const world of worlds) expect((await world.continue(session)).body.error_reason).toBe('session_not_issuing')
  })

  it('announced all at once: counted once per attempt, however many brokers are asked about it', async () => {
    const { session, sid } = await openFor(someone())
    const token = await accessFor(at(0), session)
    const servers = await Promise.all(worlds.map((world) => warehouseAt(world)))
    const attempts = Array.from({ length: DRIFT.contractAfter - 1 }, () => newAttempt())
    await Promise.all(
      [...attempts, ...attempts, ...attempts].map((attempt, index) =>
        servers[index % servers.length]?.decide(callOf(token, { tool: 'drop_table', attempt })),
      ),
    )
    expect(await detail(sid)).toMatchObject({ state: 'active', drift: attempts.length })
  })

  it('while it is contracted, nothing but reading is issued, however the two race', async () => {
    const { session, sid } = await openFor(someone())
    const [tokens] = await Promise.all([
      Promise.all(Array.from({ length: 12 }, (_, index) => at(index).continue(session, { resource: SLACK }))),
      Promise.all(
        Array.from({ length: DRIFT.contractAfter }, (_, index) => at(index + 1).continue(session, { resource: WIKI })),
      ),
    ])
    expect((await detail(sid)).state).toBe('contracted')
    const written = tokens.filter(({ status }) => status === 200).map(({ body }) => body.access_token as string)
    for (const token of written) {
      const { body } = await at(0).introspect(token, 'slack-server')
      expect(body.active).toBe(false)
    }
  })

  it('in a new session, closed and opened again, through a sub-agent or at another broker: the halt stands', async () => {
    const sub = someone()
    const deep = await openDeep(at(0), 1, { subject_token: at(0).idToken({ sub }) })
    for (let ask = 0; ask < DRIFT.haltAfter; ask += 1) {
      const { session } = ask % 2 === 0 ? { session: deep.token } : await openFor(sub, { nonce: `n-${ask}` })
      await at(ask).continue(session, { resource: WIKI })
      if (ask % 2 === 1) await at(ask).revoke(session)
    }
    const wider = { authorization_details: details(tools(WAREHOUSE, { query: { limit: { maximum: 1 } } })) }
    for (const world of worlds) {
      const anew = await world.open({ subject_token: world.idToken({ sub, nonce: 'anew', auth_time: world.now() }) })
      expect(anew.body.error_reason).toBe('principal_blocked')
      expect((await world.delegate(deep.token, wider)).status).toBe(400)
      expect((await world.continue(deep.token)).status).toBe(400)
    }
    // Somebody else's work with the same agent goes on.
    await openFor(someone())
  })

  it('a broker that dies after the control slot was written leaves what issues nothing, and a reviewer lets it go on', async () => {
    const sub = someone()
    const { session, sid } = await openFor(sub)
    const pair = `user:corp:${sub}|orchestrator`
    await at(0).broker.cutoffs.write(at(0).broker.store.control, [
      { entry: 'block', kind: 'halt', id: pair, expiresAtMs: null },
    ])
    expect((await detail(sid)).state).toBe('active')
    expect((await at(0).continue(session)).body.error_reason).toBe('principal_blocked')
    const reviewed = await at(0).bearer(`/admin/v1/sessions/${sid}/review`, await managementToken(at(0)), 'POST', {
      action: 'resume',
      reason: 'the broker had died',
    })
    expect(reviewed.body).toMatchObject({ state: 'active', lifted: 1 })
    await granted(at(0).continue(session))
  })
})
