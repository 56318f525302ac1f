/** One policy for all brokers (DESIGN §6): published while they run, followed by each, and what it takes away is dead at once. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { CURRENT_POLICY } from '../../src/authority/policy-entry.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { managementToken } from '../support/hops.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { expectRefused } from '../support/refusal.ts'
import { registryDocument, startWorld, type World } from '../support/world.ts'

type Sections = Readonly<Record<string, unknown>>
type Entry = Record<string, unknown>
const BY = { by: 'operator:test' }

function filesOf(world: World, change: Sections = {}) {
  return [{ name: 'world.yaml', document: { ...registryDocument(world.idp), ...change } }]
}

function edited(world: World, section: string, where: (entry: Entry) => boolean, more: Entry): Sections {
  const entries = registryDocument(world.idp)[section] as Entry[]
  return { [section]: entries.map((entry) => (where(entry) ? { ...entry, ...more } : entry)) }
}

const suspended = (world: World) =>
  edited(world, 'agents', ({ client_id }) => client_id === 'orchestrator', { state: 'suspended' })

async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  for (let waits = 0; waits < PATIENCE_MS / 10; waits += 1) {
    if (await holds()) return
    await sleep(10)
  }
  throw new Error('never came to hold')
}

const decidedBy = async (world: World, version: string) =>
  (await world.audit(200)).some((record) => record.policy === version)

describe('two brokers on one store', () => {
  let redis: RunningRedis
  let first: World
  let second: World
  const keysDirectory = mkdtempSync(join(tmpdir(), 'errand-publication-'))

  beforeAll(async () => {
    redis = await startRedis()
    const shared = { store: { kind: 'redis', url: new Secret(redis.url) } as const, keysDirectory, realClock: true }
    first = await startWorld(shared)
    second = await startWorld({ ...shared, issuer: first.idp })
  })
  afterAll(async () => {
    await second?.close()
    await first?.close()
    await redis?.stop()
    rmSync(keysDirectory, { recursive: true, force: true })
  })

  const back = async () => {
    const { version } = await first.broker.publisher.publishFiles(filesOf(first), BY)
    await eventually(
      () => second.broker.cutoffs.set.policy?.version === version && second.broker.cutoffs.policyProblem === undefined,
    )
  }

  test('what is published at one decides at both, without a restart', async () => {
    const grants = [
      {
        id: 'nothing',
        effect: 'deny',
        principals: [{ group: 'finance' }],
        resources: [{ server: '*' }],
        reason: 'closed',
      },
    ]
    const { version, before, difference } = await first.broker.publisher.publishFiles(filesOf(first, { grants }), BY)
    expect([before === version, difference.removed, difference.added]).toEqual([
      false,
      ['grant:finance-works'],
      ['grant:nothing'],
    ])
    await eventually(async () => (await second.open()).status === 400)
    expect((await first.open()).body.error_reason).toBe('nothing_granted')
    expect([await decidedBy(first, version), await decidedBy(second, version)]).toEqual([true, true])
    await back()
    expect((await second.open()).status).toBe(200)
  })

  test('a broker that starts later decides by what is published, and not by its own files', async () => {
    const closed = await startWorld({
      store: { kind: 'redis', url: new Secret(redis.url) },
      keysDirectory,
      realClock: true,
      issuer: first.idp,
      registry: { grants: [] },
    })
    try {
      expect((await closed.open()).status).toBe(200)
    } finally {
      await closed.close()
    }
  })

  test('what a version takes away is dead at the other broker when publishing returns to its caller', async () => {
    const { session, access } = await second.held()
    await first.broker.publisher.publishFiles(filesOf(first, suspended(first)), BY)
    await eventually(async () => (await second.introspect(access)).body.active === false)
    expect((await first.introspect(access)).body).toEqual({ active: false })
    expect((await second.continue(session)).status).toBe(400)
    await back()
    // Dead is dead: bringing the agent back revives nothing.
    expect((await second.introspect(access)).body).toEqual({ active: false })
    expect((await second.continue(session)).body.error_reason).toBe('subject_token_revoked')
  })

  test('of several who publish at once each sees what the others made of it, and all brokers agree in the end', async () => {
    const add = (world: World, name: string) =>
      world.broker.publisher.publishEntries((entries) => {
        const { users = [] } = entries as { users?: Entry[] }
        return { ...(entries as Entry), users: [...users, { issuer: 'corp', sub: name }] }
      }, BY)
    await Promise.all(['u1', 'u2', 'u3', 'u4'].map((name, n) => add(n % 2 === 0 ? first : second, name)))
    const { version } = await add(first, 'u5')
    const registry = await second.broker.publisher.versionOf(version)
    const names = registry?.users.map(({ sub }) => sub).filter((sub) => sub.startsWith('u'))
    expect([...(names ?? [])].sort()).toEqual(['u1', 'u2', 'u3', 'u4', 'u5'])
    await eventually(() => second.broker.cutoffs.set.policy?.version === version)
    // Files are published in place of files: what was written over the API stays.
    const files = await first.broker.publisher.publishFiles(filesOf(first, suspended(first)), BY)
    expect((await first.broker.publisher.versionOf(files.version))?.users.some(({ sub }) => sub === 'u5')).toBe(true)
    await back()
    await first.broker.publisher.publishEntries(() => ({}), BY)
    await back()
  })

  test('a version that the store has lost stops both brokers, until another is published', async () => {
    const lost = 'x'.repeat(43)
    const { cutoffs, store } = first.broker
    await cutoffs.writeAfter(cutoffs.set.policy?.version, store.control, [
      { entry: 'policy', id: CURRENT_POLICY, version: lost },
    ])
    for (const world of [first, second]) {
      await eventually(() => world.broker.cutoffs.policyProblem !== undefined)
      expect((await world.request('/readyz')).body.checks.policy).toMatch(/^the published policy is not loaded/)
      const idToken = world.idToken()
      const refusal = { status: 503, error: 'temporarily_unavailable', reason: 'policy_unavailable' } as const
      await expectRefused(world, () => world.open({ subject_token: idToken }), refusal)
    }
    const { difference } = await second.broker.publisher.publishFiles(filesOf(first), BY)
    // What was in force in the meantime nobody can say, so nothing of before may live.
    expect(difference.taken.map(({ dimension }) => dimension)).toEqual(['everything'])
    // Nor whether this one gives more: who lets nothing wider pass without a look must be told so.
    expect(difference.widened).toEqual(['the version before cannot be read: all of this one may be more'])
    for (const world of [first, second]) {
      await eventually(() => world.broker.cutoffs.policyProblem === undefined)
      expect((await world.request('/readyz')).status).toBe(200)
    }
  })
})

describe('one broker on an embedded store', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.close())

  test('a policy with problems is refused with every one of them, and nothing changes', async () => {
    const before = world.broker.cutoffs.set.policy?.version
    const agents = [{ client_id: 'x', owner: 'nobody' }]
    await expect(world.broker.publisher.publishFiles(filesOf(world, { agents }), BY)).rejects.toMatchObject({
      reason: 'policy_invalid',
      missing: expect.arrayContaining([expect.stringContaining('world.yaml: agents[0]')]),
    })
    expect(world.broker.cutoffs.set.policy?.version).toBe(before)
  })

  test('a transition that no object may make is refused', async () => {
    const retired = edited(world, 'agents', ({ client_id }) => client_id === 'scribe', { state: 'retired' })
    await world.broker.publisher.publishFiles(filesOf(world, retired), BY)
    await expect(world.broker.publisher.publishFiles(filesOf(world), BY)).rejects.toMatchObject({
      reason: 'policy_invalid',
      missing: ['agent scribe: it may not go from retired to active'],
    })
  })

  test('what cannot be recorded is not published', async () => {
    const { cutoffs, store } = world.broker
    const before = cutoffs.set.policy?.version
    const retired = edited(world, 'agents', ({ client_id }) => client_id === 'scribe', { state: 'retired' })
    const files = filesOf(world, { ...retired, grants: [] })
    const token = await managementToken(world)
    const append = vi.spyOn(store.audit, 'append').mockRejectedValue(new Error('full'))
    const answer = await world.bearer('/admin/v1/policy', token, 'POST', { files })
    append.mockRestore()
    expect([answer.status, answer.body.error_reason]).toEqual([503, 'audit_unavailable'])
    expect(cutoffs.set.policy?.version).toBe(before)
    expect((await world.bearer('/admin/v1/policy', token, 'POST', { files })).body.published).toBe(true)
  })

  test('what the machine’s own operator publishes, by a signal or by a restart, is on record as theirs', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'errand-own-files-'))
    const shared = {
      store: { kind: 'embedded', directory: join(directory, 'store') } as const,
      keysDirectory: join(directory, 'keys'),
      issuer: world.idp,
    }
    const published = async (own: World) =>
      (await own.audit(50)).filter(({ event }) => event === 'policy.publish').map(({ by, outcome }) => [by, outcome])
    let own = await startWorld(shared)
    try {
      await own.broker.publishOwnFiles(filesOf(own, { grants: [] }))
      const agents = [{ client_id: 'x', owner: 'nobody' }]
      await expect(own.broker.publishOwnFiles(filesOf(own, { agents }))).rejects.toMatchObject({
        reason: 'policy_invalid',
      })
      // As they are published already.
      await own.broker.publishOwnFiles(filesOf(own, { grants: [] }))
      expect((await published(own)).toSorted()).toEqual([
        ['operator:SIGHUP', 'granted'],
        ['operator:SIGHUP', 'refused'],
      ])
      await own.close()
      own = await startWorld({ ...shared, registry: { users: [{ issuer: 'corp', sub: 'alice' }] } })
      expect(await published(own)).toContainEqual(['operator:start', 'granted'])
    } finally {
      await own.close()
      rmSync(directory, { recursive: true, force: true })
    }
  })

  test('who publishes without end against others who do is told to try again', async () => {
    const { control } = world.broker.store
    const write = vi.spyOn(control, 'writeAfter').mockResolvedValue(undefined)
    const late = { users: [{ issuer: 'corp', sub: 'late' }] }
    const contended = world.broker.publisher.publishEntries(() => late, BY)
    await expect(contended).rejects.toMatchObject({ reason: 'policy_contended' })
    write.mockRestore()
    await world.broker.publisher.publishEntries(() => late, BY)
  })
})
