/** What is counted of the use of authority: whose, of what, merged among brokers, and never in the way of an exchange. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { readUsages } from '../../../../src/admin/reviews/usage-documents.ts'
import { UsageLedger } from '../../../../src/admin/reviews/usage-ledger.ts'
import { Secret } from '../../../../src/kernel/secret.ts'
import { USAGE_RESOLUTION_S } from '../../../../src/kernel/store-limits.ts'
import type { Issued } from '../../../../src/model/exchange.ts'
import type { Registry } from '../../../../src/model/registry.ts'
import { decodeRegistry } from '../../../../src/registry/load-registry.ts'
import { openStore } from '../../../../src/store/open-store.ts'
import { type DocumentStore, type Store, StoreUnavailable } from '../../../../src/store/ports.ts'
import { startIssuer, type TestIssuer } from '../../../support/issuer.ts'
import { type RunningRedis, startRedis } from '../../../support/redis.ts'
import {
  ManualClock,
  patient,
  registryDocument,
  startWorld,
  TYPE,
  WAREHOUSE,
  WIKI,
  type World,
} from '../../../support/world.ts'

const ISSUER = 'http://localhost:4400'
let idp: TestIssuer
let registry: Registry
let redis: RunningRedis
beforeAll(async () => {
  ;[idp, redis] = await Promise.all([startIssuer({ slug: 'corp' }), startRedis()])
  registry = decodeRegistry(registryDocument(idp), 'world.yaml', { issuer: ISSUER })
})
afterAll(async () => {
  await idp.close()
  await redis.stop()
})

describe('in a running broker', () => {
  let world: World
  beforeEach(async () => {
    world = await startWorld({ issuer: idp })
  })
  afterEach(() => world.close())

  async function usageOf(client: string) {
    await world.broker.flushUsage()
    return (await readUsages(world.broker.store.documents, registry.agents)).get(client)
  }

  test('an access token uses its scopes and tools, for its agent and for everybody it came through', async () => {
    const { session } = await world.opened()
    const delegation = (await world.delegate(session)).body.access_token
    const accepted = (await world.accept(delegation)).body.access_token
    expect((await world.continue(accepted, {}, 'researcher')).status).toBe(200)

    for (const client of ['orchestrator', 'researcher']) {
      const usage = await usageOf(client)
      expect([...(usage?.resources.keys() ?? [])]).toEqual(['warehouse'])
      expect(usage?.resources.get('warehouse')?.tools.names).toEqual(['query'])
      expect(usage?.resources.get('warehouse')?.scopes.names).toEqual(['mcp:tools:read'])
      expect(usage?.grants.names).toEqual(['finance-works'])
      expect(usage?.users.names).toEqual(['user:corp:alice'])
      expect(usage?.credentials.names).toEqual([`private_key_jwt 1 ${client}-key`])
    }
    const scribe = await usageOf('scribe')
    expect([scribe?.seen, scribe?.resources.size]).toEqual([undefined, 0])
  })

  test('a session or a delegation uses no tool yet; a refusal uses nothing at all', async () => {
    await world.held().then(({ session }) => world.delegate(session))
    const refused = await world.clientCredentials('scribe', { resource: WIKI })
    expect(refused.status).toBe(400)
    expect((await usageOf('researcher'))?.resources.size).toBe(0)
    const scribe = await usageOf('scribe')
    expect([scribe?.seen, scribe?.credentials.names]).toEqual([undefined, []])
  })

  test('an API token is a use of its agent and of its credential, of nothing else', async () => {
    await world.apiToken('researcher')
    const usage = await usageOf('researcher')
    expect(usage?.seen).toBe(world.now())
    expect(usage?.credentials.names).toEqual(['private_key_jwt 1 researcher-key'])
    expect([usage?.resources.size, usage?.grants.names, usage?.users.names]).toEqual([0, [], []])
  })

  test('the later use counts, and every registered agent is known from the first flush on', async () => {
    const from = world.now()
    await world.opened()
    await usageOf('orchestrator')
    await world.advance(USAGE_RESOLUTION_S)
    const { session } = await world.opened()
    expect((await world.continue(session)).status).toBe(200)
    const usage = await usageOf('orchestrator')
    expect(usage?.since).toBe(from)
    expect(usage?.users.at('user:corp:alice')).toBe(from + USAGE_RESOLUTION_S)
    const never = await usageOf('orchestrator-twin')
    expect([never?.since, never?.seen]).toEqual([from, undefined])
    expect([...((await usageOf('scribe'))?.manifest.values() ?? [])]).toEqual([from])
  })

  test('what was counted is there after a stop and a new start on the same store', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'errand-usage-'))
    const options = {
      issuer: idp,
      store: { kind: 'embedded', directory: join(directory, 'store') } as const,
      keysDirectory: join(directory, 'keys'),
    }
    const first = await startWorld(options)
    await first.held()
    await first.close()
    const second = await startWorld(options)
    const usage = (await readUsages(second.broker.store.documents, registry.agents)).get('orchestrator')
    expect(usage?.resources.get('warehouse')?.tools.names.toSorted()).toEqual(['list_tables', 'query'])
    await second.close()
    rmSync(directory, { recursive: true })
  })
})

test('two brokers on one Redis count into one ledger', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-usage-'))
  const options = {
    issuer: idp,
    // A clock that stands still would soon be too far from that of Redis.
    realClock: true,
    store: { kind: 'redis', url: new Secret(redis.url) } as const,
    keysDirectory: join(directory, 'keys'),
  }
  const a = patient(await startWorld(options))
  const b = patient(await startWorld(options))
  const { session } = await a.opened()
  expect((await a.continue(session)).status).toBe(200)
  const wiki = { resource: WIKI, subject_token: b.idToken({ sub: 'bob' }), subject_token_type: TYPE.id }
  expect((await b.exchange('orchestrator', wiki)).status).toBe(200)
  await Promise.all([a.broker.flushUsage(), b.broker.flushUsage()])

  const usage = (await readUsages(a.broker.store.documents, registry.agents)).get('orchestrator')
  expect([...(usage?.resources.keys() ?? [])].toSorted()).toEqual(['warehouse', 'wiki'])
  expect(usage?.users.names.toSorted()).toEqual(['user:corp:alice', 'user:corp:bob'])
  await a.close()
  await b.close()
  rmSync(directory, { recursive: true })
})

const KINDS = ['embedded', 'redis'] as const

describe.each(KINDS)('on the %s store', (kind) => {
  const clock = new ManualClock()
  let directory: string
  let store: Store
  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'errand-usage-'))
    const org = `usage-${Math.trunc(performance.now() * 1000)}`
    store = await openStore(
      kind === 'embedded' ? { kind, directory, org, clock } : { kind, org, url: new Secret(redis.url) },
    )
  })
  afterEach(async () => {
    await store.close()
    rmSync(directory, { recursive: true })
  })

  const ledger = (documents: DocumentStore = store.documents) =>
    new UsageLedger(documents, { current: registry }, clock)

  /** As the pipeline tells it. */
  function use(tools: readonly string[], more: { at?: number; user?: string; key?: string } = {}): Issued {
    const agent = registry.agents.find(({ clientId }) => clientId === 'researcher')
    const resource = registry.resource(WAREHOUSE)
    if (agent === undefined || resource === undefined) throw new Error('no such agent or server')
    const names = new Map(tools.map((tool) => [tool, {}]))
    return {
      by: {
        client: agent,
        version: '1',
        authentication: { method: 'private_key_jwt', credential: more.key ?? 'researcher-key' },
      },
      now: more.at ?? Math.floor(clock.nowMs() / 1000),
      decided: {
        question: { agent, chain: [], user: {}, subject: `user:corp:${more.user ?? 'alice'}` },
        grants: ['finance-works'],
        resource,
        authority: { resources: new Map([[resource.url, { scopes: ['mcp:tools:read'], tools: names, limits: {} }]]) },
      },
    } as unknown as Issued
  }
  const stored = async () => (await readUsages(store.documents, registry.agents)).get('researcher')

  test('the order and the repetition of writes do not matter: the latest use of each counts', async () => {
    const [a, b] = [ledger(), ledger()]
    const now = Math.floor(clock.nowMs() / 1000)
    a.issued(use(['query'], { at: now }))
    b.issued(use(['query', 'list_tables'], { at: now - 5000 }))
    await Promise.all([a.flush(), b.flush()])
    a.issued(use(['query'], { at: now + 1000 }))
    await Promise.all([b.flush(), a.flush(), a.stop(), b.stop()])
    const tools = (await stored())?.resources.get('warehouse')?.tools
    expect([tools?.at('query'), tools?.at('list_tables')]).toEqual([now + 1000, now - 5000])
  })

  test('what has been used within a quarter of an hour is not written again', async () => {
    let writes = 0
    const counted: DocumentStore = {
      read: (name) => store.documents.read(name),
      replace: (name, before, after) => {
        writes += 1
        return store.documents.replace(name, before, after)
      },
    }
    const one = ledger(counted)
    one.issued(use(['query']))
    await one.flush()
    const before = writes
    clock.advance(USAGE_RESOLUTION_S - 1)
    one.issued(use(['query']))
    await one.flush()
    expect(writes).toBe(before)
    one.issued(use(['list_tables']))
    await one.flush()
    expect(writes).toBe(before + 1)
  })

  test('a store that is away keeps it in memory, and nobody waits for it', async () => {
    let isAway = true
    const flaky: DocumentStore = {
      read: (name) => (isAway ? Promise.reject(new StoreUnavailable('away')) : store.documents.read(name)),
      replace: (name, before, after) => store.documents.replace(name, before, after),
    }
    const one = ledger(flaky)
    one.issued(use(['query']))
    await one.flush()
    expect(await stored()).toBeUndefined()
    isAway = false
    await one.flush()
    expect((await stored())?.resources.get('warehouse')?.tools.names).toEqual(['query'])
  })

  test('a document that cannot be read is begun anew', async () => {
    await store.documents.replace('usage:researcher', undefined, '{"v":1}')
    const one = ledger()
    one.issued(use(['query']))
    await one.flush()
    expect((await stored())?.resources.get('warehouse')?.tools.names).toEqual(['query'])
  })

  test('beyond its bound the longest unused are forgotten, and no longer called unused', async () => {
    const one = ledger()
    const from = Math.floor(clock.nowMs() / 1000)
    for (let user = 0; user < 600; user++) one.issued(use([], { at: from + user, user: `u${user}` }))
    await one.flush()
    const users = (await stored())?.users
    expect(users?.names.length).toBe(512)
    expect(users?.at('user:corp:u0')).toBeUndefined()
    expect(users?.at('user:corp:u599')).toBe(from + 599)
    expect(users?.isUnusedSince('user:corp:u0', from)).toBe(false)
    expect(users?.isUnusedSince('user:corp:u0', from + 88)).toBe(true)
  })
})
