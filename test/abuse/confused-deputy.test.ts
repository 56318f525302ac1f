/**
 * A weak agent asks a strong one to do what it may not (H51): whoever acts, the result is never more than the weakest of the
 * chain, the user and the intent allow together.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Claims, details, type Grant, granted, intent, refused, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { invalidDetails, invalidRequest, invalidScope, invalidTarget } from '../support/refusal.ts'
import { registryDocument, SLACK, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let idp: TestIssuer
let world: World
/** The researcher may only read the warehouse; the orchestrator may do everything everywhere. */
let weak: Grant
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  const users = [
    ...(registryDocument(idp)['users'] as object[]),
    { issuer: 'corp', sub: 'reader', groups: ['readers'] },
    { issuer: 'corp', sub: 'nobody', groups: [] },
  ]
  const grants = [
    ...(registryDocument(idp)['grants'] as object[]),
    {
      id: 'readers-read',
      effect: 'allow',
      principals: [{ group: 'readers' }],
      resources: [{ server: 'warehouse', category: 'read' }],
      constraints: { limit: { maximum: 10 } },
      reason: 'readers look',
    },
  ]
  world = await startWorld({ issuer: idp, registry: { users, grants } })
  weak = await granted(
    world.exchange('researcher', {
      subject_token: world.idToken({ aud: 'researcher-at-idp' }),
      subject_token_type: TYPE.id,
      requested_token_type: TYPE.session,
      authorization_details: details(
        intent({ max_depth: 1 }),
        tools(WAREHOUSE, { query: { limit: { maximum: 50 } }, list_tables: {} }),
      ),
    }),
  )
})
afterAll(async () => {
  await world.close()
  await idp.close()
})

const toStrong =
  (...objects: readonly object[]) =>
  () =>
    world.delegate(
      weak.token,
      { audience: 'orchestrator', authorization_details: details(intent(), ...objects) },
      'researcher',
    )

describe('the weak agent relays to the strong one', () => {
  test('what the strong one gets is what the weak one had, not what the strong one may', async () => {
    const { token } = await granted(toStrong(tools(WAREHOUSE, { query: { limit: { maximum: 20 } } }))())
    const strong = await granted(world.accept(token, {}, 'orchestrator'))
    const { claims } = await granted(world.continue(strong.token))
    expect(claims.scope).toBe('mcp:tools:read')
    expect(claims.authorization_details).toEqual([tools(WAREHOUSE, { query: { limit: { maximum: 20 } } })])
    for (const resource of [SLACK, 'https://wiki.example/mcp']) {
      const request = () => world.continue(strong.token, { resource })
      await refused(world, request, invalidTarget('resource_not_in_session'))
    }
    const more = { scope: 'mcp:tools:write' }
    await refused(world, () => world.continue(strong.token, more), invalidScope('nothing_granted'))
    const writing = { authorization_details: details(tools(WAREHOUSE, { insert_rows: {} })) }
    await refused(world, () => world.continue(strong.token, writing), invalidDetails('details_widening'))
  })

  test.each([
    ['a tool the weak one may not use', tools(WAREHOUSE, { insert_rows: {} }), invalidDetails('details_widening')],
    [
      'more of a tool than it has',
      tools(WAREHOUSE, { query: { limit: { maximum: 51 } } }),
      invalidDetails('details_widening'),
    ],
    ['a server it has nothing at', tools(SLACK, { post_message: {} }), invalidTarget('resource_not_in_session')],
  ])('it cannot pass on %s', async (_what, asked, refusal) => {
    await refused(world, toStrong(asked), refusal)
  })

  test('it cannot pass on to an agent that its record does not list', async () => {
    const request = () => world.delegate(weak.token, { audience: 'orchestrator-twin' }, 'researcher')
    await refused(world, request, invalidRequest('delegate_not_allowed'))
  })

  test('the strong agent’s own standing intent does not come to help', async () => {
    const { token } = await granted(toStrong(tools(WAREHOUSE, { list_tables: {} }))())
    const wiki = { requested_token_type: TYPE.access, resource: 'https://wiki.example/mcp' }
    await refused(world, () => world.accept(token, wiki, 'orchestrator'), invalidTarget('resource_not_in_session'))
  })
})

describe('the user is weak', () => {
  const open =
    (sub: string, ...objects: readonly object[]) =>
    () =>
      world.open({ subject_token: world.idToken({ sub }), authorization_details: details(intent(), ...objects) })

  test('a strong agent for a weak user has the user’s authority, constraints included', async () => {
    const query = { query: { limit: { maximum: 500 } } }
    const { claims } = await granted(open('reader', tools(WAREHOUSE, query))())
    expect(claims.authorization_details).toEqual([tools(WAREHOUSE, { query: { limit: { maximum: 10 } } })])
    await refused(world, open('reader', tools(WAREHOUSE, { insert_rows: {} })), invalidScope('nothing_granted'))
    await refused(world, open('nobody', tools(WAREHOUSE, query)), invalidScope('nothing_granted'))
  })

  test('of an intent that goes beyond the user, the token carries only the user’s part, and says so', async () => {
    const { body } = await granted(
      open(
        'reader',
        tools(WAREHOUSE, { query: { limit: { maximum: 5 } }, insert_rows: {} }),
        tools(SLACK, { list_channels: {} }),
      )(),
    )
    expect(body.scope).toBe('mcp:tools:read')
    expect(body.authorization_details.map((object: Claims) => [object.locations, Object.keys(object.tools)])).toEqual([
      [[WAREHOUSE], ['query']],
    ])
  })

  test('a user’s access token is a ceiling, whatever the agent, the grants and the intent would allow', async () => {
    const subject_token = world.idpAccessToken({ scope: 'mcp:tools:read' })
    const { claims, token } = await granted(world.open({ subject_token, subject_token_type: TYPE.access }))
    expect(claims.scope).toBe('mcp:tools:read')
    await refused(world, () => world.continue(token, { resource: SLACK }), invalidTarget('resource_not_in_session'))
    const none = world.idpAccessToken({ scope: 'profile email' })
    const request = () => world.open({ subject_token: none, subject_token_type: TYPE.access })
    await refused(world, request, invalidScope('nothing_granted'))
  })
})

test('a tool that nobody may delegate to agents stays out of every session', async () => {
  const request = () => world.open({ authorization_details: details(intent(), tools(WAREHOUSE, { drop_table: {} })) })
  const { answer } = await refused(world, request, invalidScope('nothing_granted'))
  expect(answer.body.missing).toEqual([expect.stringContaining('not delegable to agents')])
})
