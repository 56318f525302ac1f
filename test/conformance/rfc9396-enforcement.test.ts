/** Checklist E 60–62 with DESIGN §3 "What the other end enforces": a token never says more than its server checks. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Claims, details, granted, intent, refused, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidDetails, invalidTarget } from '../support/refusal.ts'
import { CALENDAR, registryDocument, startWorld, TYPE, WAREHOUSE, WIKI, type World } from '../support/world.ts'

let world: World
let idp: TestIssuer
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp })
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const openFor =
  (location: string, named: object, more: object = {}) =>
  () =>
    world.open({ authorization_details: details(intent(), tools(location, named, more)) })
const cannot = invalidTarget('resource_cannot_enforce')

describe('a server that checks scopes only (the default)', () => {
  test('a scope is granted where every tool it opens is allowed without constraint', async () => {
    const session = await granted(openFor(WIKI, { search: {}, read_page: {} })())
    const { claims } = await granted(world.continue(session.token, { resource: WIKI }))
    expect(claims.scope).toBe('mcp:tools:read')
    expect(Object.keys(claims.authorization_details[0].tools)).toEqual(['search', 'read_page'])
    const edit = await granted(openFor(WIKI, { edit_page: {} })())
    expect(edit.claims.scope).toBe('mcp:tools:write')
  })

  test.each([
    ['one tool of the two its scope opens', { search: {} }],
    ['a constrained argument', { search: { text: { maxLength: 20 } }, read_page: {} }],
    ['a closed argument set', { search: { text: {} }, read_page: {} }],
    ['one enforceable scope and one that is not', { edit_page: {}, search: {} }],
  ])('RFC 8707 §2 %s cannot be enforced there, and is refused', async (_what, named) => {
    await refused(world, openFor(WIKI, named), cannot)
  })

  test('a delegation cannot shrink below what the server can tell apart', async () => {
    const agents = (registryDocument(idp)['agents'] as object[]).map((agent) => ({
      ...agent,
      manifest: [{ server: '*' }],
    }))
    const wide = await startWorld({ issuer: idp, registry: { agents } })
    try {
      const asking = details(intent(), tools(WIKI, { search: {}, read_page: {}, edit_page: {} }))
      const { token } = await granted(wide.open({ authorization_details: asking }))
      const passOn = (named: object) => ({ authorization_details: details(intent(), tools(WIKI, named)) })
      await refused(wide, () => wide.delegate(token, passOn({ search: {}, edit_page: {} })), cannot)
      await granted(wide.delegate(token, passOn({ search: {}, read_page: {} })))
    } finally {
      await wide.close()
    }
  })

  test('an intent that is enforceable at one server and not at another is refused as a whole, and says which', async () => {
    const request = openBoth({ [WAREHOUSE]: { list_tables: {} }, [WIKI]: { search: {} } })
    const { answer } = await refused(world, request, cannot)
    expect(answer.body.error_description).toContain('wiki')
    expect(answer.body.error_description).toContain('read_page')
  })
})

describe('a server that checks tools', () => {
  test('it may be given one tool of a scope', async () => {
    const session = await granted(openFor(CALENDAR, { free_busy: {} })())
    const { claims } = await granted(world.continue(session.token, { resource: CALENDAR }))
    expect(claims.authorization_details).toEqual([tools(CALENDAR, { free_busy: {} })])
  })

  test.each([
    ['a constraint', { free_busy: { days: { maximum: 7 } } }],
    ['a closed argument set', { free_busy: { days: {} } }],
    ['a constraint on one tool of two', { list_events: {}, free_busy: { days: { maximum: 7 } } }],
  ])('RFC 8707 §2 %s cannot be enforced there, and is refused', async (_what, named) => {
    await refused(world, openFor(CALENDAR, named), cannot)
  })
})

describe('a server that checks arguments', () => {
  test('constraints of every kind reach it as they were asked for', async () => {
    const query = {
      table: { enum: ['revenue', 'costs'] },
      limit: { minimum: 1, maximum: 500 },
      path: { prefix: '/reports/', maxLength: 64 },
      columns: { maxItems: 8 },
      dry: { const: true },
      note: {},
    }
    const session = await granted(openFor(WAREHOUSE, { query })())
    const { claims } = await granted(world.continue(session.token))
    expect(claims.authorization_details).toEqual([tools(WAREHOUSE, { query })])
  })

  test('a limit on calls is refused: it does not ask before each', async () => {
    await refused(world, openFor(WAREHOUSE, { query: {} }, { limits: { maxCalls: 3 } }), cannot)
  })
})

describe('a client that cannot send authorization_details falls under a standing intent', () => {
  const bare = { authorization_details: undefined }

  test('RFC 8693 §2.1 the registered intent is what is granted, and nothing of the request widens it', async () => {
    const { claims } = await granted(
      world.open({
        ...bare,
        requested_token_type: TYPE.access,
        resource: WIKI,
        scope: 'mcp:tools:read mcp:tools:write',
      }),
    )
    expect(claims.authorization_details).toEqual([tools(WIKI, { search: {}, read_page: {} })])
    expect([claims.aud, claims.scope]).toEqual([WIKI, 'mcp:tools:read'])
  })

  test('RFC 8707 §2 a resource outside the standing intent is refused', async () => {
    const request = () => world.open({ ...bare, requested_token_type: TYPE.access, resource: WAREHOUSE })
    await refused(world, request, invalidTarget('resource_not_in_session'))
  })

  test('an agent without one is refused: an absent intent is no intent, never all of them', async () => {
    const subject_token = world.idToken({ aud: 'researcher-at-idp' })
    const asking = { subject_token, subject_token_type: TYPE.id, resource: WAREHOUSE }
    await refused(world, () => world.exchange('researcher', asking), invalidDetails('standing_intent_missing'))
  })

  test('a constraint of the standing intent binds like one of the request', async () => {
    const agents = (registryDocument(idp)['agents'] as Record<string, unknown>[]).map((agent) =>
      agent['client_id'] === 'orchestrator'
        ? { ...agent, standing_intent: { purpose: 'Look', tools: { warehouse: { query: { limit: { maximum: 5 } } } } } }
        : agent,
    )
    const bound = await startWorld({ issuer: idp, registry: { agents } })
    try {
      const { claims } = await granted(bound.open({ ...bare, requested_token_type: TYPE.access, resource: WAREHOUSE }))
      expect(claims.authorization_details[0].tools).toEqual({ query: { limit: { maximum: 5 } } })
    } finally {
      await bound.close()
    }
  })
})

describe('an intent is declared once', () => {
  test('RFC 9396 §5 opening with tools but without an intent is refused', async () => {
    const request = () => world.open({ authorization_details: details(tools(WAREHOUSE, { query: {} })) })
    await refused(world, request, invalidDetails('intent_missing'))
  })

  test('RFC 9396 §5 opening with an intent that names no tools is refused', async () => {
    await refused(
      world,
      () => world.open({ authorization_details: details(intent()) }),
      invalidDetails('details_empty'),
    )
  })

  test('continuing or accepting under another purpose is refused', async () => {
    const { session } = await world.opened()
    const other = {
      authorization_details: details(intent({ purpose: 'Something else' }), tools(WAREHOUSE, { list_tables: {} })),
    }
    await refused(world, () => world.continue(session, other), invalidDetails('intent_unexpected'))
    const { token } = await granted(world.delegate(session))
    await refused(world, () => world.accept(token, other), invalidDetails('intent_unexpected'))
  })

  test('delegating without saying what for is refused', async () => {
    const { session } = await world.opened()
    const silent = { authorization_details: details(tools(WAREHOUSE, { list_tables: {} })) }
    await refused(world, () => world.delegate(session, silent), invalidDetails('intent_missing'))
  })

  test('an origin that the evidence does not bear out is refused, and an accepted delegation is always upstream_agent', async () => {
    const claiming = (type: string) => () =>
      world.open({ authorization_details: details(intent({ origin: { type } }), tools(WAREHOUSE, { query: {} })) })
    await refused(world, claiming('upstream_agent'), invalidDetails('details_malformed'))
    const alone = () =>
      world.clientCredentials('orchestrator', {
        resource: WAREHOUSE,
        authorization_details: details(intent({ origin: { type: 'user_request' } }), tools(WAREHOUSE, { query: {} })),
      })
    await refused(world, alone, invalidDetails('details_malformed'))
    const { session } = await world.opened()
    const { claims } = await granted(world.accept((await granted(world.delegate(session))).token))
    expect(claims.origin).toEqual({ type: 'upstream_agent', asserted_by: 'agent:orchestrator' })
  })
})

function openBoth(named: Readonly<Record<string, Claims>>) {
  const objects = Object.entries(named).map(([location, asked]) => tools(location, asked))
  return () => world.open({ authorization_details: details(intent(), ...objects) })
}
