/** Checklist E 57–63, 65: a hop never holds more than the hop before it, whatever it asks for. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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
  walk,
} from '../support/hops.ts'
import { invalidDetails, invalidRequest, invalidScope, invalidTarget, toStranger } from '../support/refusal.ts'
import { CALENDAR, DELEGATED, SLACK, startWorld, WAREHOUSE, WIKI, type World } from '../support/world.ts'

let world: World
let root: Grant
let researcher: Grant
beforeAll(async () => {
  world = await startWorld()
  root = await openDeep(world)
  researcher = await granted(world.accept((await granted(world.delegate(root.token))).token))
})
afterAll(() => world.close())

const asked = (...objects: readonly object[]) => ({ authorization_details: details(...objects) })
const delegateOf =
  (query: object, more: object = {}) =>
  () =>
    world.delegate(root.token, { ...asked(intent(), tools(WAREHOUSE, { query })), ...more })

describe('RFC 9396 §7 details can only narrow', () => {
  test('narrowing through two real hops: each token carries less than the one before, and the last is what was asked', async () => {
    // 57
    const hops = await walk(world)
    const rows = [hops.root, hops.researcher, hops.scribe, hops.access].map(
      ({ claims }) => queryOf(claims).limit.maximum,
    )
    expect(rows).toEqual([500, 100, 10, 10])
    expect(queryOf(hops.root.claims).table).toEqual({ enum: ['revenue', 'costs'] })
    expect(queryOf(hops.access.claims).table).toEqual({ const: 'revenue' })
    expect(hops.access.body.authorization_details).toEqual(hops.access.claims.authorization_details)
    expect(hops.root.claims.authorization_details).toHaveLength(2)
    expect(hops.access.claims.authorization_details).toHaveLength(1)
  })

  const held = { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } }
  const widenings: readonly (readonly [string, object])[] = [
    ['a higher maximum', { ...held, limit: { maximum: 501 } }],
    ['another bound in place of the one held', { ...held, limit: { minimum: 1 } }],
    ['a value outside the enum', { ...held, table: { const: 'salaries' } }],
    ['an enum that adds a value', { ...held, table: { enum: ['revenue', 'costs', 'salaries'] } }],
    ['a prefix in place of the enum', { ...held, table: { prefix: 'rev' } }],
    ['a constrained argument left out', { limit: { maximum: 100 } }],
    ['a constrained argument made free', { ...held, table: {} }],
    ['an argument that was closed out', { ...held, order_by: {} }],
    ['an argument that was closed out, though constrained', { ...held, order_by: { const: 'amount' } }],
    ['the argument set opened again', { ...held, '*': {} }],
    ['no constraints at all', {}],
    ['a number where a text was held', { ...held, table: { maximum: 3 } }],
  ]
  test.each(widenings)('RFC 8693 §2.2.2 delegating with %s is refused', async (_what, query) => {
    // 59
    await refused(world, delegateOf(query), invalidDetails('details_widening'))
  })
  test.each(widenings)('RFC 8693 §2.2.2 continuing with %s is refused', async (_what, query) => {
    // 59
    const request = () => world.continue(root.token, asked(tools(WAREHOUSE, { query })))
    await refused(world, request, invalidDetails('details_widening'))
  })

  test.each([
    ['more rows than the delegation passes on', { table: { const: 'revenue' }, limit: { maximum: 101 } }],
    ['the table the delegator kept to itself', { table: { const: 'costs' }, limit: { maximum: 100 } }],
    ['the delegator’s own authority', held],
  ])('accepting with %s is refused, and the delegation is not burnt by it', async (_what, query) => {
    // 59, 64: failed issuance does not count
    const { token } = await granted(world.delegate(root.token))
    const request = () => world.accept(token, asked(tools(WAREHOUSE, { query })))
    await refused(world, request, invalidDetails('details_widening'))
    await granted(world.accept(token))
  })

  test.each([
    ['an unknown constraint', { ...held, limit: { atMost: 100 } }],
    ['a constraint of a fuller JSON Schema', { ...held, table: { pattern: '.*' } }],
  ])('RFC 9396 §5 %s is refused as unknown, not ignored', async (_what, query) => {
    await refused(world, delegateOf(query), toStranger(invalidDetails('details_unknown')))
  })

  test('RFC 9396 §5 an unknown type of detail is refused, beside one that is known', async () => {
    const request = () => world.delegate(root.token, asked(...DELEGATED, { type: 'payment_initiation', amount: 1 }))
    await refused(world, request, toStranger(invalidDetails('details_unknown')))
  })

  test('a tool that is registered but was not opened for, and one that does not exist, are both refused', async () => {
    const more = (tool: string) => () => world.delegate(root.token, asked(intent(), tools(WAREHOUSE, { [tool]: {} })))
    await refused(world, more('insert_rows'), invalidDetails('details_widening'))
    await refused(world, more('query2'), invalidDetails('details_unknown'))
  })

  test('the same set in another spelling is no narrowing: delegation.strictlyNarrower refuses it', async () => {
    const same = asked(
      intent(),
      tools(WAREHOUSE, {
        list_tables: { '*': {} },
        query: { limit: { maximum: 500 }, table: { enum: ['costs', 'revenue'] } },
      }),
    )
    const only = await granted(world.open(asked(intent(), tools(WAREHOUSE, { query: held, list_tables: {} }))))
    await refused(world, () => world.delegate(only.token, same), invalidScope('delegation_not_narrower'))
    const shorter = asked(intent({ expires_in: 60 }), tools(WAREHOUSE, { query: held, list_tables: {} }))
    await refused(world, () => world.delegate(only.token, shorter), invalidScope('delegation_not_narrower'))
  })

  test('what the delegate’s own manifest takes away counts as narrower: the effective result decides', async () => {
    // The researcher may only read: of slack and insert_rows nothing reaches it.
    const { claims } = await granted(world.delegate(root.token, asked(intent())))
    expect(claims.scope).toBe('mcp:tools:read')
    expect(claims.authorization_details.map((object: Claims) => object.locations)).toEqual([[WAREHOUSE]])
  })

  test('with delegation.strictlyNarrower off, the whole authority may be passed on, and still not more', async () => {
    const lenient = await startWorld({ settings: { strictlyNarrower: false } })
    try {
      const whole = asked(intent(), tools(WAREHOUSE, { query: held, list_tables: {} }))
      const { token } = await granted(lenient.open(whole))
      const passed = await granted(lenient.delegate(token, whole))
      expect(queryOf(passed.claims)).toEqual(held)
      const more = asked(intent(), tools(WAREHOUSE, { query: { ...held, limit: { maximum: 501 } } }))
      await refused(lenient, () => lenient.delegate(token, more), invalidDetails('details_widening'))
    } finally {
      await lenient.close()
    }
  })
})

describe('scope and resource only ever narrow', () => {
  test('RFC 6749 §3.3 an omitted scope is what is held, never all that the server offers', async () => {
    // 60
    const { claims, body } = await granted(world.continue(root.token))
    expect(claims.scope).toBe('mcp:tools:read')
    expect(body.scope).toBe('mcp:tools:read')
  })

  test('RFC 8693 §2.2.1 a scope beyond what is held is narrowed, and the answer says what was granted', async () => {
    // 63
    const { claims, body } = await granted(
      world.continue(researcher.token, { scope: 'mcp:tools:read mcp:tools:write mcp:tools:destructive' }, 'researcher'),
    )
    expect([claims.scope, body.scope]).toEqual(['mcp:tools:read', 'mcp:tools:read'])
  })

  test.each([
    'mcp:tools:write',
    'mcp:tools',
    'mcp:tools:*',
    '*',
    'MCP:TOOLS:READ',
    'mcp:tools:rea',
    'mcp:tools:read:more',
  ])('RFC 6749 §3.3 scopes are compared whole: %s leaves nothing, and nothing is an error', async (scope) => {
    // 57, 61
    await refused(world, () => world.continue(root.token, { scope }), invalidScope('nothing_granted'))
    await refused(world, () => world.delegate(root.token, { scope }), invalidScope('nothing_granted'))
  })

  test('an intersection that is empty is an error when accepting too, and burns nothing', async () => {
    // 61
    const { token } = await granted(world.delegate(root.token))
    await refused(world, () => world.accept(token, { scope: 'mcp:tools:write' }), invalidScope('nothing_granted'))
    await granted(world.accept(token))
  })

  test('a user whose grants leave nothing gets no session, rather than an empty one', async () => {
    // 61
    const idToken = world.idToken({ sub: 'alice' })
    const destructive = asked(intent(), tools(WAREHOUSE, { drop_table: {} }))
    await refused(world, () => world.open({ subject_token: idToken, ...destructive }), invalidScope('nothing_granted'))
  })

  test.each([
    ['a server of this broker that the intent does not list', CALENDAR],
    ['a server of this broker that the delegation left out', SLACK],
    ['a server the delegator has a standing intent for', WIKI],
  ])('RFC 8707 §2 a token for %s is refused', async (_what, resource) => {
    // 62
    const request = () => world.continue(researcher.token, { resource }, 'researcher')
    await refused(world, request, invalidTarget('resource_not_in_session'))
  })

  test('RFC 8707 §2 neither details nor resource can bring in a server on the way', async () => {
    // 62
    const events = tools(CALENDAR, { list_events: {} })
    const notThere = invalidTarget('resource_not_in_session')
    await refused(world, () => world.delegate(root.token, asked(intent(), events)), notThere)
    await refused(world, () => world.delegate(root.token, { resource: CALENDAR }), notThere)
    await refused(world, () => world.continue(root.token, { resource: CALENDAR, ...asked(events) }), notThere)
    const { token } = await granted(world.delegate(root.token))
    await refused(world, () => world.accept(token, asked(events)), notThere)
    await refused(world, () => world.accept(token, { resource: CALENDAR }), notThere)
  })

  test('a later hop never gets back what an earlier one gave up: only a new session with new evidence does', async () => {
    // 63
    const narrowed = await granted(
      world.accept((await granted(world.delegate(root.token))).token, { scope: 'mcp:tools:read' }),
    )
    const again = asked(tools(WAREHOUSE, { list_tables: {} }))
    await refused(world, () => world.continue(narrowed.token, again, 'researcher'), invalidDetails('details_widening'))
    const fresh = await granted(world.open(asked(intent(), tools(WAREHOUSE, { list_tables: {} }))))
    expect(fresh.claims.sid).not.toBe(root.claims.sid)
  })

  test('a token of one resource says nothing of another: each carries its own details and scope only', async () => {
    const warehouse = await granted(world.continue(root.token))
    const slack = await granted(world.continue(root.token, { resource: SLACK }))
    expect(warehouse.claims.authorization_details.map((object: Claims) => object.locations)).toEqual([[WAREHOUSE]])
    expect(slack.claims.authorization_details.map((object: Claims) => object.locations)).toEqual([[SLACK]])
    expect([warehouse.claims.scope, slack.claims.scope]).toEqual(['mcp:tools:read', 'mcp:tools:write'])
  })
})

describe('lifetimes only ever shrink', () => {
  test('RFC 8693 §2.2.1 no token outlives its parent, its session or the user’s own token', async () => {
    // 58
    const now = world.now()
    const idToken = world.idToken({ exp: now + 400 })
    const session = await openDeep(world, 2, { subject_token: idToken })
    expect(session.claims.exp).toBe(now + 400)
    const delegation = await granted(
      world.delegate(session.token, asked(intent({ expires_in: 200 }), tools(WAREHOUSE, { list_tables: {} }))),
    )
    expect(delegation.claims.exp).toBe(delegation.claims.iat + world.config.settings.delegationAcceptSeconds)
    const accepted = await granted(world.accept(delegation.token))
    expect(accepted.claims.exp).toBe(delegation.claims.iat + 200)
    const access = await granted(world.continue(accepted.token, {}, 'researcher'))
    expect(access.claims.exp).toBe(accepted.claims.exp)
    const ends = [session, delegation, accepted, access].map(({ claims }) => claims.not_after)
    expect(ends).toEqual([...ends].sort((a, b) => b - a))
    const starts = [session, delegation, accepted, access].map(({ claims }) => claims.iat)
    expect(starts).toEqual([...starts].sort((a, b) => a - b))
  })

  test('asking for longer than the parent has left gives what is left', async () => {
    const short = await granted(
      world.open(asked(intent({ expires_in: 90 }), tools(WAREHOUSE, { query: held, list_tables: {} }))),
    )
    const longer = await granted(
      world.delegate(short.token, asked(intent({ expires_in: 86_400 }), tools(WAREHOUSE, { list_tables: {} }))),
    )
    expect(longer.claims.not_after).toBe(short.claims.not_after)
    expect(longer.claims.exp).toBe(short.claims.exp)
  })

  test('a session ends with the configured life, whatever an intent asks for', async () => {
    const long = await granted(world.open(asked(intent({ expires_in: 86_400 }), tools(WAREHOUSE, { list_tables: {} }))))
    expect(long.claims.exp - long.claims.iat).toBe(world.config.settings.sessionSeconds)
  })

  test('RFC 8693 §2.2.2 at its end, to the second, a session gives nothing more', async () => {
    const timed = await startWorld()
    try {
      const short = await granted(timed.open(asked(intent({ expires_in: 90 }), tools(WAREHOUSE, { list_tables: {} }))))
      await timed.advance(short.claims.exp - timed.now() - 1)
      await granted(timed.continue(short.token))
      await timed.advance(1)
      await refused(timed, () => timed.continue(short.token), invalidRequest('subject_token_expired'))
    } finally {
      await timed.close()
    }
  })

  const held = { table: { enum: ['revenue', 'costs'] }, limit: { maximum: 500 } }
})

test('DESIGN §7 of revokes and issuances at once, whatever was issued is dead once the revoke has answered', async () => {
  // 65
  const { token, claims } = await openDeep(world)
  const answers = await Promise.all([
    ...Array.from({ length: 8 }, () => world.continue(token)),
    world.revoke(token),
    ...Array.from({ length: 8 }, () => world.continue(token)),
  ])
  const issued = answers.filter(({ status, body }) => status === 200 && body.access_token !== undefined)
  for (const { body } of issued) {
    expect((await world.introspect(body.access_token)).body).toEqual({ active: false })
  }
  expect(answers[8]?.body.revoked.sessions).toEqual([claims.sid])
  await refused(world, () => world.continue(token), invalidRequest('session_not_issuing'))
})
