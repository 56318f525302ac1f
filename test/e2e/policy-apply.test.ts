/**
 * The policy of a broker that runs, changed by those who operate it: `errand policy apply` and SIGHUP at a process, and
 * `POST /admin/v1/policy` at one of two brokers. What is taken away is dead with the answer; what is wrong publishes nothing.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { developmentConfig } from '../../src/config/development.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { brokerAt, until } from '../support/broker-process.ts'
import { errand, type Serving, serveErrand } from '../support/errand-command.ts'
import { freePort } from '../support/free-port.ts'
import { granted, managementToken } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type OwnBroker, writeOwnBroker } from '../support/own-broker.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { scratchDirectory } from '../support/scratch.ts'
import { patient, registryDocument, startWorld, WIKI, World } from '../support/world.ts'

type Document = Record<string, Record<string, unknown>[]>

let idp: TestIssuer
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
})
afterAll(() => idp?.close())

/** The world's registry without what signs by RSA; the orchestrator changed. */
function registryWith(orchestrator: object = {}, more: object = {}): Document {
  const document = registryDocument(idp) as Document
  return {
    ...document,
    resources: (document['resources'] ?? []).filter(({ id }) => id !== 'calendar'),
    agents: (document['agents'] ?? []).map((agent) =>
      agent['client_id'] === 'orchestrator' ? { ...agent, ...orchestrator } : agent,
    ),
    ...more,
  }
}
const WRONG = { grants: [{ id: 'x', effect: 'perhaps', principals: [], resources: [{ server: '*' }], reason: 'x' }] }
const PROBLEMS = ['grants[0].effect', 'grants[0].principals']

const work = (world: World) => world.clientCredentials('orchestrator', { resource: WIKI })
const lives = async (world: World, token: string) => (await world.introspect(token, 'wiki-server')).body.active

describe('a broker process', () => {
  let own: OwnBroker
  let serving: Serving
  let world: World
  beforeAll(async () => {
    const port = await freePort()
    const issuer = `http://127.0.0.1:${port}`
    const over = { issuer, listen: { port }, environment: 'development', outbound: { allow_loopback: true } }
    own = writeOwnBroker(over, registryWith())
    mkdirSync(join(own.directory, 'keys'), { mode: 0o700 })
    serving = await serveErrand(['--config', own.configFile], own.directory)
    const store = { kind: 'embedded', directory: 'elsewhere' } as const
    const config = developmentConfig({ port, store, keysDirectory: join(own.directory, 'keys') })
    const broker = brokerAt(issuer)
    const running = new World({
      clock: systemClock,
      idp,
      config,
      broker,
      directory: join(own.directory, 'none'),
      ownsIdp: false,
    })
    world = patient(running)
  })
  afterAll(async () => {
    serving?.signal('SIGTERM')
    await serving?.ended
    rmSync(own.directory, { recursive: true, force: true })
  })

  const write = (document: Document) => writeFileSync(join(own.directory, 'registry.yaml'), stringify(document))
  const apply = (...more: string[]) =>
    errand(['policy', 'apply', '--config', own.configFile, ...more], { cwd: own.directory })
  const said = (text: string) => until(async () => serving.written().includes(text))

  test('is given another policy by errand policy apply: previewed, published, and cut off at once', async () => {
    const { token } = await granted(work(world))
    write(registryWith({ state: 'suspended' }))
    const preview = await apply('--dry-run')
    expect([preview.code, preview.err]).toEqual([0, ''])
    expect(preview.out).toMatch(/^would publish policy [\s\S]*~ agent:orchestrator[\s\S]*agent orchestrator/)
    expect(await lives(world, token)).toBe(true)
    const done = await apply()
    expect(done.out).toBe(preview.out.replace('would publish', 'published'))
    expect(await lives(world, token)).toBe(false)
    expect((await work(world)).body.error_reason).toBe('agent_inactive')
  })

  test('takes nothing from files with problems, however they are offered, and names each problem', async () => {
    write(registryWith())
    serving.signal('SIGHUP')
    await said('the policy files are published')
    const { token } = await granted(work(world))
    write(registryWith({ state: 'suspended' }, WRONG))
    const refused = await apply()
    expect([refused.code, refused.out]).toEqual([1, ''])
    for (const problem of PROBLEMS) expect(refused.err).toContain(problem)
    serving.signal('SIGHUP')
    await said('policy files not published')
    for (const problem of PROBLEMS) expect(serving.written()).toContain(problem)
    expect(await lives(world, token)).toBe(true)
    await granted(work(world))
  })

  test('a build fails where it would give more, says what, and publishes nothing', async () => {
    const grants = [...(registryWith()['grants'] ?? [])]
    const more = { id: 'more', effect: 'allow', principals: [{ user: 'corp:bob' }], resources: [{ server: 'wiki' }] }
    write(registryWith({}, { grants: [...grants, more] }))
    const judged = await apply('--fail-on-widening')
    expect([judged.code, judged.err]).toEqual([1, ''])
    expect(judged.out).toMatch(
      /^would publish[\s\S]*gives more than before:\n {2}\^ grant more: it is new, and allows\n/,
    )
    write(registryWith())
    expect((await apply('--fail-on-widening')).out).toMatch(/is published already/)
  })

  test('SIGHUP publishes the files as they are, and what they take away is dead', async () => {
    const { token } = await granted(work(world))
    write(registryWith({ manifest: [] }))
    serving.signal('SIGHUP')
    await until(async () => !(await lives(world, token)))
    expect((await work(world)).status).toBe(400)
  })
})

describe('POST /admin/v1/policy at one of two brokers', () => {
  let redis: RunningRedis
  let first: World
  let second: World
  let bearer: string
  beforeAll(async () => {
    redis = await startRedis()
    const options = {
      store: { kind: 'redis', url: new Secret(redis.url) } as const,
      keysDirectory: scratchDirectory('errand-policy-post-'),
      realClock: true,
      issuer: idp,
      registry: registryWith(),
    }
    first = patient(await startWorld(options))
    second = patient(await startWorld(options))
    bearer = await managementToken(first)
  })
  afterAll(async () => {
    await second?.close()
    await first?.close()
    await redis?.stop()
  })

  const post = (at: World, document: Document, more: object = {}) =>
    at.bearer('/admin/v1/policy', bearer, 'POST', { files: [{ name: 'world.yaml', document }], ...more })
  const versions = async () =>
    Promise.all([first, second].map(async (at) => (await at.bearer('/admin/v1/policy', bearer)).body.version))

  test('a dry run says what would be, and changes nothing at either', async () => {
    const { token } = await granted(work(second))
    const before = await versions()
    const { status, body } = await post(first, registryWith({ state: 'suspended' }), { dry_run: true })
    expect(status, JSON.stringify(body)).toBe(200)
    expect(body).toMatchObject({ published: false, difference: { changed: ['agent:orchestrator'] } })
    expect(body.cut_off).toEqual([expect.objectContaining({ dimension: 'agent', id: 'orchestrator' })])
    expect(await versions()).toEqual(before)
    expect([await lives(first, token), await lives(second, token)]).toEqual([true, true])
  })

  test('a policy with problems is refused with each of them, and neither broker changes', async () => {
    const before = await versions()
    const { status, body } = await post(first, registryWith({ state: 'suspended' }, WRONG))
    expect([status, body.error_reason]).toEqual([400, 'policy_invalid'])
    for (const problem of PROBLEMS) expect(body.missing.join('\n')).toContain(`world.yaml: ${problem}`)
    expect(await versions()).toEqual(before)
    await granted(work(second))
  })

  test('what is published is cut off with the answer, and the second broker follows by itself', async () => {
    const { token } = await granted(work(second))
    const { body } = await post(first, registryWith({ state: 'suspended' }))
    expect(body).toMatchObject({ published: true, difference: { changed: ['agent:orchestrator'] } })
    expect(await lives(first, token)).toBe(false)
    await until(async () => (await versions()).every((version) => version === body.version))
    expect(await lives(second, token)).toBe(false)
    expect((await work(second)).body.error_reason).toBe('agent_inactive')
    // The same again is no publication.
    expect((await post(second, registryWith({ state: 'suspended' }))).body).toMatchObject({ published: false })
  })
})
