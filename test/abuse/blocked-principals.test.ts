/** A suspended agent, service or user knocks at every door, with what was issued before and with what is fresh. */

import { mkdtempSync, rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { details, type Grant, granted, intent, kill, lift, openDeep, refused, tools } from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { invalidRequest } from '../support/refusal.ts'
import { registryDocument, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const blocked = invalidRequest('principal_blocked')
const alone = details(intent({ origin: { type: 'schedule' } }), tools(WAREHOUSE, { list_tables: {} }))

describe('a blocked agent', () => {
  let world: World
  let session: Grant
  let delegation: Grant
  let inbound: Grant
  let api: string
  beforeAll(async () => {
    world = await startWorld()
    session = await openDeep(world)
    delegation = await granted(world.delegate(session.token))
    inbound = await granted(world.delegate(session.token, { audience: 'researcher' }))
    api = await world.apiToken()
    await kill(world, { dimension: 'agent', agent: 'orchestrator', block: true })
    await world.advance(90)
  })
  afterAll(() => world.close())

  const fresh = () => world.idToken({ auth_time: world.now() })
  const doors: readonly (readonly [string, () => ReturnType<World['open']>])[] = [
    ['opening with a fresh sign-in', () => world.open({ subject_token: fresh() })],
    [
      'opening an access token at once',
      () => world.open({ subject_token: fresh(), requested_token_type: TYPE.access, resource: WAREHOUSE }),
    ],
    [
      'working for itself',
      () => world.clientCredentials('orchestrator', { resource: WAREHOUSE, authorization_details: alone }),
    ],
    ['asking for an API token', () => world.clientCredentials('orchestrator', { resource: `${world.issuer}/api` })],
    ['asking what a token is worth', () => world.introspect(session.token, 'orchestrator')],
  ]
  test.each(doors)('is refused when %s', async (_what, request) => {
    await refused(world, request, blocked)
  })

  test('is refused when continuing or delegating what it held', async () => {
    const dead = invalidRequest('session_not_issuing')
    await refused(world, () => world.continue(session.token), dead)
    await refused(world, () => world.delegate(session.token), dead)
  })

  test('passes nothing on: what it had delegated cannot be accepted', async () => {
    await refused(world, () => world.accept(delegation.token), invalidRequest('session_not_issuing'))
    await refused(world, () => world.accept(inbound.token), invalidRequest('session_not_issuing'))
  })

  test('is refused at the sessions API, with the token it has', async () => {
    const answer = await world.bearer('/sessions', api)
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_token'])
  })

  test('may still end what it holds: revoking is never refused for being blocked', async () => {
    expect((await world.revoke(session.token)).status).toBe(200)
  })
})

describe('a blocked service', () => {
  test('learns nothing by introspection and gets no API token, until it is lifted', async () => {
    const world = await startWorld()
    try {
      const access = await granted(world.continue((await openDeep(world)).token))
      await kill(world, { dimension: 'agent', agent: 'warehouse-server', block: true })
      await refused(world, () => world.introspect(access.token), blocked)
      const api = () => world.clientCredentials('warehouse-server', { resource: `${world.issuer}/api` })
      await refused(world, api, blocked)
      await lift(world, { kind: 'agent', id: 'warehouse-server' })
      expect((await world.introspect(access.token)).body.active).toBe(true)
    } finally {
      await world.close()
    }
  })
})

describe('a blocked or cut-off user', () => {
  test('is not heard at the sessions API either, with tokens from before; others are', async () => {
    const world = await startWorld()
    try {
      const before = world.userToken()
      expect((await world.bearer('/sessions', before)).status).toBe(200)
      await kill(world, { dimension: 'user', user: 'user:corp:alice' })
      const answer = await world.bearer('/sessions', before)
      expect([answer.status, answer.body.error]).toEqual([401, 'invalid_token'])
      expect((await world.bearer('/sessions', world.userToken('bob'))).status).toBe(200)
      await world.advance(90)
      const later = () => world.userToken('alice', { auth_time: world.now() })
      expect((await world.bearer('/sessions', later())).status).toBe(200)
      await kill(world, { dimension: 'user', user: 'user:corp:alice', block: true })
      await world.advance(90)
      expect((await world.bearer('/sessions', later())).status).toBe(401)
      await lift(world, { kind: 'user', id: 'user:corp:alice' })
      expect((await world.bearer('/sessions', later())).status).toBe(200)
    } finally {
      await world.close()
    }
  })

  test('a user who has revoked a session can still see and end the others', async () => {
    const world = await startWorld()
    try {
      const [one, other] = [await openDeep(world), await openDeep(world)]
      for (const { claims } of [one, other]) {
        const answer = await world.bearer(`/sessions/${claims.sid}`, world.userToken(), 'DELETE')
        expect(answer.status).toBe(200)
      }
    } finally {
      await world.close()
    }
  })
})

describe('a registry that has changed since', () => {
  /** One company before and after: same keys, same store, another policy. */
  async function acrossChange<T>(
    work: (world: World) => Promise<T>,
    after: (world: World, was: T) => Promise<void>,
    change: object,
  ) {
    const directory = mkdtempSync('/tmp/errand-policy-')
    const idp = await startIssuer({ slug: 'corp' })
    const kept = {
      issuer: idp,
      store: { kind: 'embedded', directory: `${directory}/store` },
      keysDirectory: `${directory}/keys`,
    } as const
    const document = registryDocument(idp)
    const edited = Object.fromEntries(
      Object.entries(change).map(([section, edit]) => [
        section,
        (document[section] as Record<string, unknown>[]).map(edit),
      ]),
    )
    try {
      const first = await startWorld(kept)
      const was = await work(first)
      await first.close()
      const second = await startWorld({ ...kept, registry: edited })
      await after(second, was)
      await second.close()
    } finally {
      await idp.close()
      rmSync(directory, { recursive: true, force: true })
    }
  }
  const issued = async (world: World) => {
    const session = await openDeep(world)
    const delegated = await granted(world.accept((await granted(world.delegate(session.token))).token))
    const access = await granted(world.continue(delegated.token, {}, 'researcher'))
    return { session, delegated, access }
  }
  const where = (name: string, value: string, more: object) => (entry: Record<string, unknown>) =>
    entry[name] === value ? { ...entry, ...more } : entry

  test('a user who has left: nothing is continued on their behalf, and nothing of it is active', async () => {
    await acrossChange(
      issued,
      async (world, { session, delegated, access }) => {
        await refused(world, () => world.continue(session.token), invalidRequest('subject_token_revoked'))
        await refused(
          world,
          () => world.continue(delegated.token, {}, 'researcher'),
          invalidRequest('subject_token_revoked'),
        )
        await refused(world, () => world.delegate(session.token), invalidRequest('subject_token_revoked'))
        expect((await world.introspect(access.token)).body).toEqual({ active: false })
      },
      { users: where('sub', 'alice', { active: false }) },
    )
  })

  test.each(['suspended', 'retired'])('a delegator that is %s: what it passed on goes no further', async (state) => {
    await acrossChange(
      issued,
      async (world, { session, delegated, access }) => {
        const dead = invalidRequest('subject_token_revoked')
        await refused(world, () => world.continue(session.token), invalidRequest('agent_inactive'))
        await refused(world, () => world.continue(delegated.token, {}, 'researcher'), dead)
        expect((await world.introspect(access.token)).body).toEqual({ active: false })
      },
      { agents: where('client_id', 'orchestrator', { state }) },
    )
  })

  test('a resource that was suspended: no tokens for it, and those there are, are not active', async () => {
    await acrossChange(
      issued,
      async (world, { session, access }) => {
        const inactive = { status: 400, error: 'invalid_target', reason: 'resource_inactive' } as const
        await refused(world, () => world.continue(session.token), inactive)
        expect((await world.introspect(access.token)).body).toEqual({ active: false })
      },
      { resources: where('id', 'warehouse', { state: 'suspended' }) },
    )
  })

  test('a manifest that was narrowed binds at the next exchange, not only at the next session', async () => {
    await acrossChange(
      issued,
      async (world, { session }) => {
        const { claims } = await granted(world.continue(session.token))
        expect(Object.keys(claims.authorization_details[0].tools)).toEqual(['list_tables'])
      },
      { agents: where('client_id', 'orchestrator', { manifest: [{ server: '*', tool: 'list_tables' }] }) },
    )
  })
})
