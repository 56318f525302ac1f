/** A draft of the policy in shadow: what it would answer is on record, and is never the answer. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { operatorPrincipal } from '../../src/kernel/ids.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { ADMIN_ROLES, type AdminRole } from '../../src/model/admin-role.ts'
import type { Registry } from '../../src/model/registry.ts'
import { PolicyLibrary } from '../../src/registry/publication/policy-library.ts'
import { StoreUnavailable } from '../../src/store/ports.ts'
import { Minter } from '../../src/tokens/minter.ts'
import { ask, EVALUATION, evaluateToken, evaluatingServices } from '../support/authzen.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { expectRefused } from '../support/refusal.ts'
import { type Answer, registryDocument, SLACK, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const SHADOW = '/admin/v1/policy/shadow'

const DAY = 24 * 3600

async function bearer(world: World, roles: readonly AdminRole[] = ADMIN_ROLES): Promise<string> {
  const now = world.now()
  const minter = new Minter(world.broker.ring, world.config.settings)
  return (
    await minter.management({ operator: operatorPrincipal('ops'), roles, now, expiresAt: now + 60 })
  ).token.reveal()
}

const at = (world: World, seconds: number) => new Date((world.now() + seconds) * 1000).toISOString()

function draft(world: World, change: Readonly<Record<string, unknown>>, seconds = DAY) {
  const document = { ...registryDocument(world.idp), ...change }
  return { files: [{ name: 'draft.yaml', document }], until: at(world, seconds) }
}

const begin = async (world: World, body: unknown) => world.bearer(SHADOW, await bearer(world), 'POST', body)
const look = async (world: World) => (await world.bearer(SHADOW, await bearer(world))).body.shadow
const end = async (world: World) => world.bearer(SHADOW, await bearer(world), 'DELETE')

async function begun(world: World, change: Readonly<Record<string, unknown>>, seconds = DAY) {
  const answer = await begin(world, draft(world, change, seconds))
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return answer.body.shadow
}

async function recordOf(world: World, answer: Answer) {
  const [text] = await world.broker.store.audit.find(answer.body.decision_id)
  return JSON.parse(text ?? '{}')
}

/** Alice's work under it: an access token, and what is on record of it. */
async function access(world: World) {
  const answer = await world.open({ requested_token_type: undefined, resource: WAREHOUSE })
  return { answer, record: await recordOf(world, answer) }
}

const NOTHING = { grants: [] }
const draftsOf = (world: World, id: string, more: object) => ({
  agents: (registryDocument(world.idp)['agents'] as { client_id: string }[]).map((entry) =>
    entry.client_id === id ? { ...entry, ...more } : entry,
  ),
})

describe('one broker', () => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await end(world)
  })
  afterAll(() => world.close())

  test('what the draft would refuse is granted still, and the record says so', async () => {
    const { version } = await begun(world, NOTHING)
    const { answer, record } = await access(world)
    expect(answer.status).toBe(200)
    expect((await world.introspect(answer.body.access_token)).body.active).toBe(true)
    expect(record).toMatchObject({
      outcome: 'granted',
      shadow: { policy: version, outcome: 'deny', turn: 'refused', reason: 'nothing_granted' },
    })
    expect(record.policy).not.toBe(version)
    expect(world.broker.cutoffs.set.policy?.version).toBe(record.policy)
  })

  test('what the draft would grant is refused still, and nothing is issued', async () => {
    const closed = await startWorld({ registry: NOTHING })
    try {
      const { version } = await begun(closed, {})
      const refused = { status: 400, error: 'access_denied', reason: 'nothing_granted' } as const
      const { record } = await expectRefused(closed, () => closed.open(), {
        ...refused,
        error: (await closed.open()).body.error,
      })
      expect(record.shadow).toEqual({ policy: version, outcome: 'allow', turn: 'granted' })
    } finally {
      await closed.close()
    }
  })

  test('the same answer with less, or more, authority is told apart; the same authority is not on record', async () => {
    const resources = [{ server: 'warehouse', tool: 'list_tables' }, { server: 'slack' }]
    const grants = [{ id: 'less', effect: 'allow', principals: [{ group: 'finance' }], resources, reason: 'less' }]
    const less = await begun(world, { grants })
    const { answer, record } = await access(world)
    expect(record.shadow).toEqual({ policy: less.version, outcome: 'allow', turn: 'narrowed' })
    const { scope: had } = answer.body
    await begun(world, { users: [{ issuer: 'corp', sub: 'alice', groups: ['finance'] }] })
    const same = await access(world)
    expect(same.record).not.toHaveProperty('shadow')
    expect(same.answer.body.scope).toBe(had)
    const narrow = await startWorld({ registry: { grants } })
    try {
      const { version } = await begun(narrow, {})
      expect((await access(narrow)).record.shadow).toEqual({ policy: version, outcome: 'allow', turn: 'widened' })
    } finally {
      await narrow.close()
    }
  })

  test('each name is the draft’s: an agent, a user or a server that it does not have is denied there', async () => {
    const alone = (id: string) =>
      (registryDocument(world.idp)['agents'] as { client_id: string; standing_intent?: unknown }[])
        .filter(({ client_id }) => client_id === id)
        .map(({ standing_intent: _none, ...entry }) => ({ ...entry, manifest: [{ server: '*' }], delegates: [] }))
    const resources = (registryDocument(world.idp)['resources'] as { url: string }[]).filter(({ url }) => url === SLACK)
    const cases: readonly (readonly [object, string])[] = [
      [{ agents: alone('scribe') }, 'client_unknown'],
      [draftsOf(world, 'orchestrator', { state: 'suspended' }), 'agent_inactive'],
      [{ users: [{ issuer: 'corp', sub: 'bob', groups: ['finance'] }] }, 'user_inactive'],
      [{ resources, agents: alone('orchestrator') }, 'resource_unknown'],
    ]
    for (const [change, reason] of cases) {
      await begun(world, { ...change })
      const { answer, record } = await access(world)
      expect([answer.status, record.shadow?.reason]).toEqual([200, reason])
    }
  })

  test('it is off when its time is over, before anybody has looked', async () => {
    await begun(world, NOTHING, 60)
    await world.advance(59)
    expect((await access(world)).record).toHaveProperty('shadow')
    await world.advance(1)
    expect((await access(world)).record).not.toHaveProperty('shadow')
    expect(await look(world)).toMatchObject({ active: false, differed: 1 })
    expect((await access(world)).record).not.toHaveProperty('shadow')
  })

  test('how many decisions differed is counted, and they can be listed', async () => {
    const { id } = await begun(world, NOTHING)
    const ids = [(await access(world)).record.id, (await access(world)).record.id]
    expect(await look(world)).toMatchObject({
      id,
      by: 'operator:ops',
      active: true,
      compared: 2,
      differed: 2,
      faults: 0,
    })
    const listed = await world.bearer('/admin/v1/decisions?shadow=differs&limit=2', await bearer(world))
    expect(listed.body.decisions.map((one: { id: string }) => one.id).sort()).toEqual(ids.sort())
    await end(world)
    expect((await access(world)).record).not.toHaveProperty('shadow')
    expect(await look(world)).toBeNull()
    const none = await world.bearer('/admin/v1/decisions?shadow=differs&limit=1', await bearer(world))
    expect(ids).toContain(none.body.decisions[0].id)
    expect((await world.bearer('/admin/v1/decisions?shadow=all', await bearer(world))).status).toBe(400)
    // Another run of the same draft counts anew.
    await begun(world, NOTHING)
    expect(await look(world)).toMatchObject({ compared: 0, differed: 0 })
  })

  test('a fault in the draft’s decision is counted and changes nothing', async () => {
    const load = PolicyLibrary.prototype.load
    vi.spyOn(PolicyLibrary.prototype, 'load').mockImplementation(async function (this: PolicyLibrary, version) {
      const loaded = await load.call(this, version)
      const client = (): never => {
        throw new Error('broken')
      }
      return loaded && { ...loaded, registry: { ...loaded.registry, version, client } as unknown as Registry }
    })
    await begun(world, NOTHING)
    const { answer, record } = await access(world)
    expect([answer.status, record.outcome]).toEqual([200, 'granted'])
    expect(record).not.toHaveProperty('shadow')
    expect(await look(world)).toMatchObject({ compared: 0, differed: 0, faults: 1 })
  })

  test('a draft that cannot be loaded stops nothing', async () => {
    vi.spyOn(PolicyLibrary.prototype, 'load').mockRejectedValue(new Error('lost'))
    await begun(world, NOTHING)
    const { answer, record } = await access(world)
    expect(answer.status).toBe(200)
    expect(record).not.toHaveProperty('shadow')
    vi.restoreAllMocks()
    await look(world)
    expect((await access(world)).record).toHaveProperty('shadow')
  })

  test.each([
    ['policy admins, who may publish', ['policy_admin']],
    ['viewers and approvers', ['viewer', 'approver']],
  ] as const)('beginning and ending it is not for %s', async (_who, roles) => {
    const token = await bearer(world, roles)
    const forbidden = { status: 403, error: 'insufficient_scope', reason: 'admin_forbidden' } as const
    await expectRefused(world, () => world.bearer(SHADOW, token, 'POST', draft(world, NOTHING)), forbidden)
    expect((await world.bearer(SHADOW, token)).body.shadow).toBeNull()
    await begun(world, NOTHING)
    await expectRefused(world, () => world.bearer(SHADOW, token, 'DELETE'), forbidden)
    expect((await world.bearer(SHADOW, token)).body.shadow.active).toBe(true)
  })

  test.each([
    ['is no policy', (w: World) => draft(w, { agents: [{ client_id: 'x', admin: true }] }), 'policy_invalid'],
    ['has no end', (w: World) => ({ files: draft(w, NOTHING).files }), 'body_malformed'],
    ['has an end that is no time', (w: World) => ({ ...draft(w, NOTHING), until: 'never' }), 'body_malformed'],
    ['is over', (w: World) => draft(w, NOTHING, 0), 'body_malformed'],
    ['runs longer than thirty days', (w: World) => draft(w, NOTHING, 30 * DAY + 1), 'body_malformed'],
    ['is the policy already', (w: World) => ({ ...draft(w, {}), files: [worldFile(w)] }), 'body_malformed'],
    ['asks to be enforced', (w: World) => ({ ...draft(w, NOTHING), enforce: false }), 'body_malformed'],
  ] as const)('a draft that %s is refused, and none is in shadow', async (_what, body, reason) => {
    const token = await bearer(world)
    const request = () => world.bearer(SHADOW, token, 'POST', body(world))
    await expectRefused(world, request, { status: 400, error: 'invalid_request', reason })
    expect(await look(world)).toBeNull()
  })

  const worldFile = (w: World) => w.broker.publisher.published.documents.files[0]

  test('thirty days are as long as it may run', async () => {
    expect((await begun(world, NOTHING, 30 * DAY)).active).toBe(true)
  })

  test('beginning and ending are on record, with what was before and after; ending what is not there is refused', async () => {
    const first = await begun(world, NOTHING)
    const second = await begun(world, { users: [] })
    await end(world)
    const records = (await world.audit(100)).filter(({ event }) => event === 'policy.shadow')
    const changes = records.filter(({ outcome, change }) => outcome === 'granted' && change !== undefined).slice(0, 3)
    const texts = async ({ id, change }: { id: string; change: { before?: string; after?: string } }) =>
      Promise.all(
        [change.before, change.after].map(async (digest) => {
          const text = digest && (await world.broker.store.audit.content(digest, id))
          return text ? JSON.parse(text).version : undefined
        }),
      )
    const seen = (await Promise.all(changes.map(texts))).map((pair) => JSON.stringify(pair)).sort()
    const pairs = [
      [undefined, first.version],
      [first.version, second.version],
      [second.version, undefined],
    ]
    expect(seen).toEqual(pairs.map((pair) => JSON.stringify(pair)).sort())
    expect(changes.map(({ by }) => by)).toEqual(['operator:ops', 'operator:ops', 'operator:ops'])
    const token = await bearer(world)
    const none = { status: 404, error: 'not_found', reason: 'not_found' } as const
    await expectRefused(world, () => world.bearer(SHADOW, token, 'DELETE'), none)
  })

  test('what cannot be recorded is neither begun nor ended', async () => {
    const { audit } = world.broker.store
    const token = await bearer(world)
    const failing = async (method: string, body?: unknown) => {
      const append = vi.spyOn(audit, 'append').mockRejectedValue(new Error('full'))
      const answer = await world.bearer(SHADOW, token, method, body)
      append.mockRestore()
      return [answer.status, answer.body.error_reason]
    }
    expect(await failing('POST', draft(world, NOTHING))).toEqual([503, 'audit_unavailable'])
    expect(await look(world)).toBeNull()
    await begun(world, NOTHING)
    expect(await failing('DELETE')).toEqual([503, 'audit_unavailable'])
    expect(await look(world)).toMatchObject({ active: true })
  })
})

test('an evaluation that the draft would answer otherwise is answered by the policy, too', async () => {
  const idp = await startWorld()
  const world = await startWorld({ issuer: idp.idp, registry: evaluatingServices(idp.idp) })
  try {
    const { access: token } = await world.held()
    const server = await evaluateToken(world, 'warehouse-server')
    const call = {
      subject: { type: 'access_token', id: token },
      action: { name: 'tools/call' },
      resource: { type: 'tool', id: 'list_tables' },
    }
    const { version } = await begun(world, { ...evaluatingServices(idp.idp), ...NOTHING })
    const answer = await ask(world, server, EVALUATION, call)
    expect(answer.body.decision).toBe(true)
    const [text] = await world.broker.store.audit.find(answer.body.context.decision_id)
    expect(JSON.parse(text ?? '{}')).toMatchObject({
      outcome: 'granted',
      shadow: { policy: version, turn: 'refused', reason: 'nothing_granted' },
    })
  } finally {
    await world.close()
    await idp.close()
  }
})

describe('two brokers on one store', () => {
  let redis: RunningRedis
  let first: World
  let second: World
  const keysDirectory = mkdtempSync(join(tmpdir(), 'errand-shadow-'))
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

  async function eventually(holds: () => Promise<boolean>): Promise<void> {
    for (let waits = 0; waits < PATIENCE_MS / 100; waits += 1) {
      // Beside others a store may be late once.
      const isHeld = await holds().catch((error: unknown) => {
        if (error instanceof StoreUnavailable) return false
        throw error
      })
      if (isHeld) return
      await sleep(100)
    }
    throw new Error('never came to hold')
  }

  test('what is begun and ended at one holds at the other within seconds, and they count together', async () => {
    await begun(first, NOTHING)
    await eventually(async () => {
      // At once: only the store is waited for.
      expect(await granted(first)).toHaveProperty('shadow')
      return true
    })
    await eventually(async () => (await granted(second)).shadow !== undefined)
    await eventually(async () => (await look(first)).differed >= 2)
    await end(first)
    await eventually(async () => (await granted(second)).shadow === undefined)
  })

  /** The record of a token that was given: of what was not, nothing is to be learnt. */
  async function granted(world: World) {
    const { answer, record } = await access(world)
    if (answer.status === 503) throw new StoreUnavailable('the broker says so')
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return record
  }
})
