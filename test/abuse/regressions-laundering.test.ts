/**
 * Authority that its holder has lost, passed on or kept by somebody below: a deny, a narrowing grant, or a narrowed manifest
 * that concerns the delegator must reach what it delegates, what is pending, and what was accepted long ago (DESIGN §6).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type Claims,
  details,
  type Grant,
  granted,
  intent,
  openDeep,
  queryOf,
  refused,
  tools,
} from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidScope } from '../support/refusal.ts'
import { registryDocument, startWorld, WAREHOUSE, type World } from '../support/world.ts'

const nothing = invalidScope('nothing_granted')
const queryAlone = details(tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 10 } } }))
const toolsOf = ({ claims }: Grant): readonly string[] => Object.keys(claims.authorization_details[0].tools)

let close: (() => Promise<void>) | undefined
afterEach(async () => {
  await close?.()
  close = undefined
})

interface Chain {
  readonly root: Grant
  readonly pendingQuery: Grant
  readonly pendingBoth: Grant
  readonly researcher: Grant
  readonly queryOnly: Grant
  readonly scribe: Grant
}

/** Orchestrator → researcher → scribe, with delegations pending and accepted: of `query` alone, and of a second tool beside. */
async function chainOf(world: World): Promise<Chain> {
  const root = await openDeep(world)
  const both = details(
    intent({ max_depth: 1 }),
    tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 100 } }, list_tables: {} }),
  )
  const delegated = (more = {}) => granted(world.delegate(root.token, more))
  const researcher = await granted(world.accept((await delegated({ authorization_details: both })).token))
  const queryOnly = await granted(world.accept((await delegated()).token))
  const passOn = details(intent(), tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 50 } } }))
  const toScribe = { audience: 'scribe', authorization_details: passOn }
  const scribe = await granted(
    world.accept((await granted(world.delegate(researcher.token, toScribe, 'researcher'))).token, {}, 'scribe'),
  )
  const [pendingQuery, pendingBoth] = [await delegated(), await delegated({ authorization_details: both })]
  return { root, pendingQuery, pendingBoth, researcher, queryOnly, scribe }
}

/** Without `query`, by whatever means: the agent it concerns has lost it, and nobody below it has it either. */
async function expectQueryGone(world: World, chain: Chain): Promise<void> {
  const { root, pendingQuery, pendingBoth, researcher, queryOnly, scribe } = chain
  // Its own first: this is what the rest is measured by.
  await refused(world, () => world.continue(root.token, { authorization_details: queryAlone }), nothing)
  expect(toolsOf(await granted(world.continue(root.token)))).toEqual(['list_tables'])
  // Delegated now.
  await refused(world, () => world.delegate(root.token), nothing)
  // Offered before.
  await refused(world, () => world.accept(pendingQuery.token), nothing)
  const accepted = await granted(world.accept(pendingBoth.token))
  expect(toolsOf(accepted)).toEqual(['list_tables'])
  expect(toolsOf(await granted(world.continue(accepted.token, {}, 'researcher')))).toEqual(['list_tables'])
  // Accepted before.
  await refused(world, () => world.continue(queryOnly.token, {}, 'researcher'), nothing)
  expect(toolsOf(await granted(world.continue(researcher.token, {}, 'researcher')))).toEqual(['list_tables'])
  // Two hops down.
  await refused(world, () => world.continue(scribe.token, {}, 'scribe'), nothing)
  const passOn = details(intent(), tools(WAREHOUSE, { query: { table: { const: 'revenue' }, limit: { maximum: 10 } } }))
  await refused(
    world,
    () => world.delegate(researcher.token, { audience: 'scribe', authorization_details: passOn }, 'researcher'),
    nothing,
  )
}

async function expectQueryThere(world: World, { root, queryOnly, scribe }: Chain): Promise<void> {
  expect(toolsOf(await granted(world.continue(root.token)))).toEqual(['query', 'list_tables'])
  expect(toolsOf(await granted(world.continue(queryOnly.token, {}, 'researcher')))).toEqual(['query'])
  expect(toolsOf(await granted(world.continue(scribe.token, {}, 'scribe')))).toEqual(['query'])
}

const agentsOf = (idp: TestIssuer) => registryDocument(idp)['agents'] as readonly Record<string, unknown>[]

/** A grant that comes into force half a minute after the world begins; the orchestrator is not owned by who owns the others. */
async function worldWithGrant(grant: object): Promise<World> {
  const idp = await startIssuer({ slug: 'corp' })
  const when = { not_before: new Date(Date.now() + 30_000).toISOString() }
  const resources = [{ server: 'warehouse', tool: 'query' }]
  const grants = [...(registryDocument(idp)['grants'] as object[]), { id: 'later', resources, when, ...grant }]
  const agents = agentsOf(idp).map((entry) =>
    entry['client_id'] === 'orchestrator' ? { ...entry, owner: 'olga@corp.example' } : entry,
  )
  const world = await startWorld({ issuer: idp, registry: { grants, agents } })
  close = async () => {
    await world.close()
    await idp.close()
  }
  return world
}

describe('a deny comes into force against the delegator, which has passed the tool on', () => {
  test.each([
    ['by its name', { agent: 'orchestrator' }],
    ['by its owner', { owner: 'olga@corp.example' }],
  ])('%s: it is gone for everybody below', async (_how, principal) => {
    const world = await worldWithGrant({ effect: 'deny', principals: [principal] })
    const chain = await chainOf(world)
    await expectQueryThere(world, chain)
    await world.advance(60)
    await expectQueryGone(world, chain)
  })

  test('against an agent in the middle: gone below it, and not above', async () => {
    const world = await worldWithGrant({ effect: 'deny', principals: [{ agent: 'researcher' }] })
    const chain = await chainOf(world)
    await world.advance(60)
    expect(toolsOf(await granted(world.continue(chain.root.token)))).toEqual(['query', 'list_tables'])
    await refused(world, () => world.delegate(chain.root.token), nothing)
    await refused(world, () => world.accept(chain.pendingQuery.token), nothing)
    await refused(world, () => world.continue(chain.scribe.token, {}, 'scribe'), nothing)
  })

  test('against an agent below: the delegator keeps it, and so does who is not below that one', async () => {
    const world = await worldWithGrant({ effect: 'deny', principals: [{ agent: 'scribe' }] })
    const chain = await chainOf(world)
    await world.advance(60)
    await refused(world, () => world.continue(chain.scribe.token, {}, 'scribe'), nothing)
    expect(toolsOf(await granted(world.continue(chain.queryOnly.token, {}, 'researcher')))).toEqual(['query'])
  })

  test('and the refusal says by which grant, as it would to the delegator itself', async () => {
    const world = await worldWithGrant({ effect: 'deny', principals: [{ agent: 'orchestrator' }] })
    const chain = await chainOf(world)
    await world.advance(60)
    const own = () => world.continue(chain.root.token, { authorization_details: queryAlone })
    const below = () => world.continue(chain.scribe.token, {}, 'scribe')
    for (const request of [own, below]) {
      const { record } = await refused(world, request, nothing)
      expect(record.layers.deny_grants).toBe('explicit_deny')
      expect(record.grants).toContain('later')
      expect(record.missing).toEqual(['query at warehouse: denied by grant later'])
    }
  })
})

test('a grant that narrows the delegator narrows what it passed on', async () => {
  const narrow = {
    effect: 'allow',
    principals: [{ agent: 'orchestrator' }],
    constraints: { limit: { maximum: 20 }, table: {} },
  }
  const world = await worldWithGrant(narrow)
  const chain = await chainOf(world)
  const limitOf = ({ claims }: { claims: Claims }) => queryOf(claims).limit.maximum
  const asked = async () => [
    limitOf(await granted(world.continue(chain.root.token))),
    limitOf(await granted(world.continue(chain.queryOnly.token, {}, 'researcher'))),
    limitOf(await granted(world.continue(chain.scribe.token, {}, 'scribe'))),
  ]
  expect(await asked()).toEqual([500, 100, 50])
  await world.advance(60)
  expect(await asked()).toEqual([20, 20, 20])
})

/** The same store and keys under a registry in which this agent's entry was edited: a restart after a change. */
async function restarted(work: (world: World) => Promise<Chain>, agent: string, edit: object) {
  const directory = mkdtempSync(join(tmpdir(), 'errand-restarted-'))
  const idp = await startIssuer({ slug: 'corp' })
  const kept = {
    issuer: idp,
    store: { kind: 'embedded', directory: join(directory, 'store') },
    keysDirectory: join(directory, 'keys'),
  } as const
  const first = await startWorld(kept)
  const chain = await work(first)
  await first.close()
  const agents = agentsOf(idp).map((entry) => (entry['client_id'] === agent ? { ...entry, ...edit } : entry))
  const world = await startWorld({ ...kept, registry: { agents } })
  close = async () => {
    await world.close()
    await idp.close()
    rmSync(directory, { recursive: true, force: true })
  }
  return { world, chain }
}

describe('the delegator’s manifest is narrowed, and it has passed the tool on', () => {
  test('it is gone for everybody below', async () => {
    const { world, chain } = await restarted(chainOf, 'orchestrator', {
      manifest: [{ server: 'warehouse', tool: 'list_tables' }],
    })
    await expectQueryGone(world, chain)
  })

  test('an agent in the middle that lost everything takes nothing further, nor do those below it', async () => {
    const { world, chain } = await restarted(chainOf, 'researcher', { manifest: [] })
    await refused(world, () => world.continue(chain.scribe.token, {}, 'scribe'), nothing)
    await refused(world, () => world.accept(chain.pendingBoth.token), nothing)
    await refused(world, () => world.delegate(chain.root.token), nothing)
    await granted(world.continue(chain.root.token))
  })

  test('without a change, the restart takes nothing away', async () => {
    const { world, chain } = await restarted(chainOf, 'orchestrator', {})
    await expectQueryThere(world, chain)
  })
})
