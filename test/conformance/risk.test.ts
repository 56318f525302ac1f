/** The risk an identity provider names, from the sign-in to every exchange of the session; and servers of others (R021). */
import { afterEach, describe, expect, test } from 'vitest'
import { details, granted, intent, refused, tools } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import type { Refusal } from '../support/refusal.ts'
import { registryDocument, SLACK, startWorld, WAREHOUSE, type World } from '../support/world.ts'

type Entry = Record<string, unknown>
let world: World
afterEach(async () => {
  await world.close()
  await world.idp.close()
})

async function begin(change: (document: Record<string, Entry[]>) => void): Promise<void> {
  const issuer = await startIssuer({ slug: 'corp' })
  const document = registryDocument(issuer) as Record<string, Entry[]>
  change(document)
  world = await startWorld({ issuer, registry: document })
}

describe('risk', () => {
  const begun = () =>
    begin(({ issuers, grants }) => {
      const values = { LOW: 'low', HIGH: 'high' }
      Object.assign(issuers?.[0] ?? {}, { risk_claim: { claim: '/https:~1~1corp.example~1risk/level', values } })
      grants?.push({ ...grants[0], id: 'writes', resources: [{ category: 'write' }] })
      Object.assign(grants?.[0] ?? {}, { resources: [{ category: 'read' }], when: { risk: { at_most: 'medium' } } })
    })
  const read = details(intent(), tools(WAREHOUSE, { list_tables: {} }))
  const openAt = (level: unknown, more: object = {}) =>
    world.open({
      subject_token: world.idToken({ 'https://corp.example/risk': { level } }),
      authorization_details: read,
      ...more,
    })
  const nothing: Refusal = { status: 400, error: 'invalid_scope', reason: 'nothing_granted' }

  test('is what the issuer says in the words its entry knows; anything else is unknown', async () => {
    await begun()
    await granted(openAt('LOW'))
    for (const level of ['HIGH', 'low', 'Low', '', 1, ['LOW'], { LOW: 'LOW' }, null, '__proto__', undefined]) {
      await refused(world, () => openAt(level), nothing)
    }
  })

  test('is the session’s: what was opened at a low one continues, what was opened at a high one does not read', async () => {
    await begun()
    const low = await granted(openAt('LOW'))
    await granted(world.continue(low.token))
    const both = details(intent(), tools(WAREHOUSE, { list_tables: {}, insert_rows: {} }))
    const high = await granted(openAt('HIGH', { authorization_details: both }))
    expect(Object.keys((await granted(world.continue(high.token))).claims.authorization_details[0].tools)).toEqual([
      'insert_rows',
    ])
  })
})

describe('a server that somebody else runs', () => {
  const external = (review?: object) =>
    begin(({ resources }) =>
      Object.assign(resources?.[1] ?? {}, { exposure: 'external', ...(review && { vendor_review: review }) }),
    )
  const asking = details(intent(), tools(SLACK, { list_channels: {} }))

  test('is issued for after its vendor was reviewed', async () => {
    await external({ reviewed_on: '2026-03-01', residency: 'EU' })
    const { token } = await granted(world.open({ authorization_details: asking }))
    await granted(world.continue(token, { resource: SLACK }))
  })

  test('is issued nothing for before', async () => {
    await external()
    const unreviewed: Refusal = { status: 400, error: 'invalid_target', reason: 'resource_unreviewed' }
    await refused(world, () => world.open({ authorization_details: asking }), unreviewed)
    const alone = details(intent({ origin: { type: 'schedule' } }), tools(SLACK, { list_channels: {} }))
    const forItself = () => world.clientCredentials('orchestrator', { resource: SLACK, authorization_details: alone })
    await refused(world, forItself, unreviewed)
  })
})
