/**
 * A stolen signing key (H68): killed at one broker, dead at every other within a second, and dead for good: also after a
 * restart of all of them, and also where its file is put back.
 */
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { type Fleet, startFleet, until } from '../support/broker-process.ts'
import { errand, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { managementToken } from '../support/hops.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { claimsOf, headerOf, patient, startWorld, TYPE, type World } from '../support/world.ts'

/** The brief promise of a revocation; the bound allows for nothing more. */
const KILL_MS_MAX = 1_000

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

const kidOf = (token: string) => String(headerOf(token)['kid'])

async function published(at: World): Promise<readonly string[]> {
  return (await at.request('/jwks')).body.keys.map((key: { kid: string }) => key.kid)
}

async function fleetOnRedis(): Promise<{ redis: RunningRedis; fleet: Fleet }> {
  const redis = await startRedis()
  closing.push(() => redis.stop())
  const fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url } }))
  closing.push(() => fleet.close())
  return { redis, fleet }
}

async function kill(at: World, fleet: Fleet, kid: string) {
  return at.bearer('/admin/v1/revocations', await fleet.managementToken(), 'POST', { dimension: 'key', kid })
}

describe('two brokers on one Redis', () => {
  test('an access key: tokens, API tokens and /jwks at the other broker within a second, and both sign with another', async () => {
    const { fleet } = await fleetOnRedis()
    const a = patient(await fleet.start())
    let b = patient(await fleet.start())
    const { session } = await a.opened()
    const access = (await a.continue(session)).body.access_token
    const api = await a.apiToken()
    const stolen = kidOf(access)
    expect(kidOf(api)).toBe(stolen)
    expect((await b.introspect(access)).body.active).toBe(true)
    expect((await b.bearer('/sessions', api)).status).toBe(200)

    const answer = await kill(a, fleet, stolen)
    expect(answer.body).toMatchObject({
      revoked: { key: { kid: stolen, class: 'access', alg: 'ES256', signs: expect.any(String) } },
      audit: 'recorded',
    })
    const { signs } = answer.body.revoked.key
    expect(signs).not.toBe(stolen)
    await until(async () => {
      const dead = [
        (await b.introspect(access)).body.active === false,
        (await b.bearer('/sessions', api)).status === 401,
        !(await published(b)).includes(stolen),
      ]
      return dead.every(Boolean)
    }, KILL_MS_MAX)
    expect((await a.introspect(access)).body).toEqual({ active: false })
    // The session's own key is another: its agent goes on, with tokens of a key that nobody has stolen.
    await until(async () => (await b.continue(session)).status === 200)
    for (const at of [a, b]) {
      const again = await at.continue(session)
      expect(kidOf(again.body.access_token)).toBe(signs)
      expect((await at.introspect(again.body.access_token)).body.active).toBe(true)
      expect(await published(at)).toContain(signs)
    }

    // Once more changes nothing.
    const repeated = await kill(b, fleet, stolen)
    expect(repeated.body.revoked).toMatchObject({ seq: answer.body.revoked.seq, key: { kid: stolen, signs } })

    // Its file comes back from a backup, and every broker is a new process: the cut-off still stands.
    const aside = readdirSync(fleet.keysDirectory).find((name) => name.endsWith('.killed')) ?? ''
    expect(aside).toContain(stolen)
    await Promise.all([a.stop(), b.stop()])
    renameSync(join(fleet.keysDirectory, aside), join(fleet.keysDirectory, aside.replace('.killed', '')))
    b = patient(await fleet.start())
    expect(await published(b)).not.toContain(stolen)
    expect((await b.introspect(access)).body).toEqual({ active: false })
    expect(kidOf((await b.continue(session)).body.access_token)).toBe(signs)
    await until(async () => readdirSync(fleet.keysDirectory).includes(aside))
  })

  test('the internal key: session, delegation and management tokens are refused, and new ones are of another', async () => {
    const { fleet } = await fleetOnRedis()
    const [a, b] = [patient(await fleet.start()), patient(await fleet.start())]
    const { session } = await a.opened()
    const delegation = (await a.delegate(session)).body.access_token
    const management = await fleet.managementToken()
    expect((await b.bearer('/admin/v1/sessions', management)).status).toBe(200)

    const answer = await kill(a, fleet, kidOf(session))
    expect(answer.body.revoked.key).toMatchObject({ class: 'internal', signs: expect.any(String) })
    await until(async () => (await b.bearer('/admin/v1/sessions', management)).status === 401, KILL_MS_MAX)
    for (const at of [a, b]) {
      expect((await at.continue(session)).body).toMatchObject({ error: 'invalid_request' })
      expect((await at.accept(delegation)).body).toMatchObject({ error: 'invalid_request' })
    }
    await until(async () => (await b.open()).status === 200)
    const reopened = (await b.opened()).session
    expect(kidOf(reopened)).toBe(answer.body.revoked.key.signs)
    expect((await a.continue(reopened)).status).toBe(200)
    const operator = await fleet.managementToken()
    expect(kidOf(operator)).toBe(answer.body.revoked.key.signs)
    expect((await b.bearer('/admin/v1/sessions', operator)).status).toBe(200)
  })
})

describe('one broker', () => {
  test('the kill is recorded, another algorithm is not touched, and an unknown kid is no kill', async () => {
    const world = await startWorld()
    closing.push(() => world.close())
    const { session } = await world.opened()
    const access = (await world.continue(session)).body.access_token
    const rs256 = (await published(world)).length
    const unknown = await world.bearer('/admin/v1/revocations', await managementToken(world), 'POST', {
      dimension: 'key',
      kid: 'no-such-key',
    })
    expect(unknown.body).toMatchObject({ error_reason: 'not_found' })
    const killed = await world.bearer('/admin/v1/revocations', await managementToken(world), 'POST', {
      dimension: 'key',
      kid: kidOf(access),
    })
    expect(killed.status).toBe(200)
    // Its file may lie in a backup for years.
    const { entries } = await world.broker.store.control.snapshot()
    const ends = entries.map((entry) =>
      entry.entry === 'cutoff' && entry.id === kidOf(access) ? entry.expiresAtMs : 0,
    )
    expect(Math.max(...ends)).toBeGreaterThan(Date.parse('2100-01-01'))
    expect(await published(world)).toHaveLength(rs256)
    const [record] = await world.audit(1)
    expect(record).toMatchObject({
      event: 'control.write',
      outcome: 'granted',
      by: 'operator:ops',
      detail: JSON.stringify({ dimension: 'key', kid: kidOf(access) }),
    })
    expect((await world.introspect(access)).body).toEqual({ active: false })
    expect(claimsOf((await world.continue(session)).body.access_token)['sid']).toBe(claimsOf(session)['sid'])
  })

  test('where no other key can be made nothing is signed, and /readyz says so (H68)', async () => {
    const world = await startWorld()
    closing.push(() => world.close())
    const { session } = await world.opened()
    const kid = kidOf(session)
    // As a kill by another broker arrives: this one was not asked to make another.
    const control = world.broker.store.control
    await control.write([{ entry: 'cutoff', dimension: 'key', id: kid, expiresAtMs: 8e15 }], 0)
    expect((await world.open()).body).toMatchObject({
      error: 'temporarily_unavailable',
      error_reason: 'keys_not_ready',
    })
    const ready = await world.request('/readyz')
    expect(ready.status).toBe(503)
    expect(ready.body.checks.keys).toBe('no active internal key')
    expect(
      (await world.exchange('orchestrator', { subject_token: session, subject_token_type: TYPE.session })).status,
    ).toBe(400)
  })
})

test('errand keys kill takes the beginning of a kid, says what signs now, and the broker goes on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-key-kill-'))
  closing.push(async () => rmSync(directory, { recursive: true, force: true }))
  const port = await freePort()
  const broker = await serveErrand(['--development', '--port', String(port)], directory)
  closing.push(async () => {
    broker.signal('SIGTERM')
    await broker.ended
  })
  const run = (...args: string[]) => errand([...args, '--config', '.errand/errand.yaml'], { cwd: directory })
  const keys = JSON.parse((await run('keys', '--json')).out).keys as { kid: string; class: string; alg: string }[]
  const { kid } = keys.find((key) => key.class === 'internal') ?? { kid: '' }
  expect((await run('keys', 'kill', 'nothing-like-it')).err).toContain('no such key')
  const killed = await run('keys', 'kill', kid.slice(0, 12))
  expect(killed).toMatchObject({ code: 0, err: '' })
  expect(killed.out).toMatch(/^killed: internal key .*everything it signed is dead[\s\S]*signs in its place/)
  expect((await run('keys')).out).not.toContain(kid.slice(0, 12))
  // The operator's own token is of the new key already.
  expect((await run('sessions')).code).toBe(0)
})
