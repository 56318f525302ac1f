/** Evaluation (AuthZEN 1.0) where brokers share a Redis: what one has issued or revoked, the other judges; a store that is away is no answer. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { ask, EVALUATION, EVALUATIONS, evaluateToken, evaluatingServices, SEARCH } from '../support/authzen.ts'
import { granted, kill } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { whenAvailable, whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { patient, startWorld, type World } from '../support/world.ts'

let idp: TestIssuer
let redis: RunningRedis
let first: World
let second: World
const keysDirectory = mkdtempSync(join(tmpdir(), 'errand-authzen-'))
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  redis = await startRedis()
  const store = { kind: 'redis', url: new Secret(redis.url) } as const
  const shared = { issuer: idp, store, keysDirectory, realClock: true, registry: evaluatingServices(idp) }
  first = await startWorld(shared)
  second = await startWorld(shared)
})
afterAll(async () => {
  await second?.close()
  await first?.close()
  await redis?.stop()
  await idp?.close()
  rmSync(keysDirectory, { recursive: true, force: true })
})

const call = (token: string, tool: string, args?: object) => ({
  subject: { type: 'access_token', id: token },
  action: { name: 'tools/call' },
  resource: { type: 'tool', id: tool },
  ...(args === undefined ? {} : { context: { arguments: args } }),
})

const GOOD = { table: 'revenue', limit: 100 }

test('while Redis stands still nothing is allowed: 503, and right again afterwards', async () => {
  const { token: session } = await granted(patient(first).open())
  const { token: access } = await granted(patient(first).continue(session))
  const asking = await evaluateToken(first, 'warehouse-server')
  const asked = () => ask(first, asking, EVALUATION, call(access, 'query', GOOD))
  expect((await whenReady(asked)).body.decision).toBe(true)
  redis.pause()
  const refused = await asked()
  redis.resume()
  expect([refused.status, refused.body.decision]).toEqual([503, undefined])
  expect((await whenReady(asked)).body.decision).toBe(true)
})

test('a call of a token that the other broker has issued is judged and on record; once its session is revoked there, it is refused here', async () => {
  const { token: session, claims } = await granted(patient(first).open())
  const { token: access } = await granted(patient(first).continue(session))
  const asking = await evaluateToken(second, 'warehouse-server')
  const decides = async (body: unknown) => (await whenReady(() => ask(second, asking, EVALUATION, body))).body
  const allowed = await decides(call(access, 'query', GOOD))
  expect(allowed).toEqual({ decision: true, context: { decision_id: expect.stringMatching(/^dec_/) } })
  const [text] = await whenAvailable(() => first.broker.store.audit.find(allowed.context.decision_id))
  expect(JSON.parse(text ?? '{}')).toMatchObject({ event: 'access.evaluate', outcome: 'granted' })
  for (const args of [{ ...GOOD, table: 'salaries' }, { ...GOOD, limit: 100_000 }, {}]) {
    expect((await decides(call(access, 'query', args))).decision).toBe(false)
  }
  const evaluations = [call(access, 'query', GOOD), call(access, 'query', { ...GOOD, table: 'salaries' })]
  const many = await whenReady(() => ask(second, asking, EVALUATIONS, { evaluations }))
  expect(many.body.evaluations.map(({ decision }: { decision: boolean }) => decision)).toEqual([true, false])
  const { resource: _tool, ...who } = call(access, 'query')
  const found = await whenReady(() => ask(second, asking, SEARCH.resource, { ...who, resource: { type: 'tool' } }))
  expect(JSON.stringify(found.body.results)).toContain('"list_tables"')

  await kill(patient(first), { dimension: 'session', session: String(claims.sid) })
  expect((await decides(call(access, 'query', GOOD))).decision).toBe(false)
})
