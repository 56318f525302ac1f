/**
 * What may be shown to whom (R064, R087, R088): `filterVisible` and `visibleToAll` before a real broker, in pages of many. Whatever
 * is not certain is hidden.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { evaluatingServices } from '../support/authzen.ts'
import { details, granted, intent, managementToken, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { type ServerSide, serverSide } from '../support/server-side.ts'
import { registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const FOLDERS = 150
const folder = (at: number) => `f${String(at).padStart(3, '0')}`
const ALL = Array.from({ length: FOLDERS }, (_unused, at) => folder(at))

/** Alice may read all folders but every tenth, Bob those below 50. */
function registry(idp: TestIssuer, grants: readonly object[] = ordinary()): Record<string, unknown> {
  const resources = registryDocument(idp)['resources'] as readonly Record<string, unknown>[]
  const kept = resources.map((resource) =>
    resource['id'] === 'warehouse'
      ? {
          ...resource,
          containers: ALL.map((id) => ({ id, type: 'folder' })),
          tools: { query: { category: 'read' }, list_tables: { category: 'read' } },
        }
      : resource,
  )
  return { ...evaluatingServices(idp), resources: kept, grants }
}

function ordinary(): readonly object[] {
  const read = (user: string, folders: readonly string[]) => ({
    id: `${user}-reads`,
    effect: 'allow',
    principals: [{ user: `corp:${user}` }],
    resources: folders.map((container) => ({ server: 'warehouse', tool: 'query', container })),
    reason: 'as shared',
  })
  return [
    read(
      'alice',
      ALL.filter((_id, at) => at % 10 !== 0),
    ),
    read('bob', ALL.slice(0, 50)),
  ]
}

const ALICES = ALL.filter((_id, at) => at % 10 !== 0)
const BOBS = ALL.slice(0, 50)
const READ = { type: 'folder', action: 'query' } as const
const [ALICE, BOB] = ['user:corp:alice', 'user:corp:bob']

let idp: TestIssuer
let world: World
let here: ServerSide
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp, registry: registry(idp) })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})
beforeEach(() => {
  here = serverSide(world)
})
afterEach(() => here.broker.close())

const batches = () => here.asked.filter((path) => path === '/access/v1/evaluations').length

describe('what one user may see', () => {
  test('R087 is asked in batches, and comes back in the order it was asked', async () => {
    const shuffled = [...ALL].reverse()
    expect(await here.broker.filterVisible(ALICE, shuffled, READ)).toEqual([...ALICES].reverse())
    expect(batches()).toBe(Math.ceil(FOLDERS / 64))
  })

  test('is asked once for what comes twice, and not at all for nothing', async () => {
    expect(await here.broker.filterVisible(BOB, ['f001', 'f000', 'f001'], READ)).toEqual(['f001', 'f000', 'f001'])
    expect(here.sent.at(-1)?.json['evaluations']).toHaveLength(2)
    expect(await here.broker.filterVisible(BOB, [], READ)).toEqual([])
    expect(batches()).toBe(1)
  })

  test('is nothing of what nobody knows, for nobody that is known, and by no right of another tool', async () => {
    expect(await here.broker.filterVisible(ALICE, ['f001', 'unknown', ''], READ)).toEqual(['f001'])
    for (const viewer of ['user:corp:nobody', 'user:corp:mallory', 'alice', '', '*']) {
      expect(await here.broker.filterVisible(viewer, BOBS, READ)).toEqual([])
    }
    expect(await here.broker.filterVisible(ALICE, ALL, { ...READ, action: 'list_tables' })).toEqual([])
    expect(await here.broker.filterVisible(ALICE, ALL, { ...READ, type: 'channel' })).toEqual([])
  })

  test('is by the rights of this moment: what was taken away is not shown', async () => {
    const own = await startWorld({ issuer: idp, registry: registry(idp) })
    const side = serverSide(own)
    try {
      expect(await side.broker.filterVisible(BOB, ['f001', 'f002'], READ)).toEqual(['f001', 'f002'])
      const document = { ...registryDocument(idp), ...registry(idp, ordinary().slice(0, 1)) }
      const published = await own.bearer('/admin/v1/policy', await managementToken(own), 'POST', {
        files: [{ name: 'world.yaml', document }],
      })
      expect(published.status, JSON.stringify(published.body)).toBe(200)
      expect(await side.broker.filterVisible(BOB, ['f001', 'f002'], READ)).toEqual([])
    } finally {
      await side.broker.close()
      await own.close()
    }
  })

  test('may be asked of whoever an inbound token acts for, within what the token opens', async () => {
    const own = await startWorld({
      issuer: idp,
      registry: { ...registry(idp), grants: registryDocument(idp)['grants'] },
    })
    const side = serverSide(own)
    try {
      const asked = details(intent(), tools(WAREHOUSE, { query: {} }))
      const session = await granted(own.open({ authorization_details: asked }))
      const access = await granted(own.continue(session.token))
      const inbound = { token: await side.verifier.verify(access.token), bearer: access.token }
      expect(await side.broker.filterVisible(inbound, ['f001', 'f000'], READ)).toEqual(['f001', 'f000'])
      expect(await side.broker.filterVisible(inbound, ['f001'], { ...READ, action: 'list_tables' })).toEqual([])
      await own.revoke(access.token)
      expect(await side.broker.filterVisible(inbound, ['f001', 'f000'], READ)).toEqual([])
    } finally {
      await side.broker.close()
      await own.close()
    }
  })
})

describe('a shared place', () => {
  test('R064 is shown what everybody in it may see', async () => {
    const both = await here.broker.visibleToAll([ALICE, BOB], ALL, READ)
    expect(both).toEqual(ALL.filter((id) => ALICES.includes(id) && BOBS.includes(id)))
    expect(await here.broker.visibleToAll([ALICE, 'user:corp:nobody'], ALL, READ)).toEqual([])
  })

  test('is shown nothing where nobody is', async () => {
    expect(await here.broker.visibleToAll([], ALL, READ)).toEqual([])
    expect(batches()).toBe(0)
  })

  test('is not asked about beyond its bound', async () => {
    const crowd = Array.from({ length: 1_001 }, (_unused, at) => `user:corp:u${at}`)
    await expect(here.broker.visibleToAll(crowd, ['f001'], READ)).rejects.toThrow(RangeError)
    const many = Array.from({ length: 10_001 }, (_unused, at) => `f${at}`)
    await expect(here.broker.filterVisible(ALICE, many, READ)).rejects.toThrow(RangeError)
    expect(here.asked).toEqual([])
  })
})

describe('a fault hides', () => {
  const yes = (count: number) => ({ evaluations: Array.from({ length: count }, () => ({ decision: true })) })

  test.each([
    ['no answer', () => Promise.reject(new TypeError('fetch failed'))],
    ['a refusal', async () => new Response('{}', { status: 403 })],
    ['one decision too few', async () => Response.json(yes(1))],
    ['one too many', async () => Response.json(yes(3))],
    ['one answer for all', async () => Response.json({ decision: true })],
    ['a yes that is no boolean', async () => Response.json({ evaluations: [{ decision: 'true' }, { decision: 1 }] })],
    ['no JSON', async () => new Response('yes')],
  ] as const)('%s', async (_what, answer) => {
    here.disturb = async (path) => (path === '/access/v1/evaluations' ? answer() : undefined)
    expect(await here.broker.filterVisible(ALICE, ['f001', 'f002'], READ)).toEqual([])
  })

  test('of one batch hides that batch and no more', async () => {
    let asked = 0
    here.disturb = async (path) => {
      if (path !== '/access/v1/evaluations') return undefined
      asked += 1
      return asked === 1 ? new Response('{}', { status: 503 }) : undefined
    }
    const shown = await here.broker.filterVisible(ALICE, ALL, READ)
    expect(shown.length).toBeGreaterThan(0)
    expect(shown.length).toBeLessThanOrEqual(ALICES.length - 57)
    expect(shown.every((id) => ALICES.includes(id))).toBe(true)
  })
})

/** The recipe of the README: what a search of an agent's memory has found, before anybody sees it. */
describe('an agent’s memory', () => {
  interface Memory {
    readonly text: string
    /** Where it was learnt: the id that it is judged by. */
    readonly source: string
  }
  const hits: readonly Memory[] = ['f000', 'f001', 'f060', 'f002', 'f010'].map((source) => ({
    text: `of ${source}`,
    source,
  }))

  async function recalled(user: string): Promise<readonly string[]> {
    const sources = hits.map(({ source }) => source)
    const visible = new Set(await here.broker.filterVisible(user, sources, READ))
    return hits.filter(({ source }) => visible.has(source)).map(({ text }) => text)
  }

  test('R087 R088 recalls for each user what that user may see now, though one search found it all', async () => {
    expect(await recalled(ALICE)).toEqual(['of f001', 'of f002'])
    expect(await recalled(BOB)).toEqual(['of f000', 'of f001', 'of f002', 'of f010'])
    expect(await recalled('user:corp:mallory')).toEqual([])
  })
})
