/**
 * Washing a token that is somebody else's: a stolen session or delegation, evidence that was given to another client, an
 * access token turned back into authority (H40, H43, Keycloak #51000, ZITADEL GHSA-vrh8-c9cm-wh8v and GHSA-g5h5-m4hm-xjrr,
 * Logto #8772).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { details, type Grant, granted, intent, openDeep, refused, tools, type Walk, walk } from '../support/hops.ts'
import { invalidRequest } from '../support/refusal.ts'
import { DELEGATED, INTENT, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let hops: Walk
beforeAll(async () => {
  world = await startWorld()
  hops = await walk(world)
})
afterAll(() => world.close())

const presenter = invalidRequest('subject_token_presenter')
const THIEVES = ['researcher', 'scribe', 'orchestrator-twin']

describe('a stolen session token', () => {
  test.each(THIEVES)('is worth nothing to %s, who authenticates as itself', async (thief) => {
    await refused(world, () => world.continue(hops.root.token, {}, thief), presenter)
    await refused(world, () => world.delegate(hops.root.token, { audience: 'scribe' }, thief), presenter)
  })

  test('is worth nothing to the agent above it either: authority goes down, not back up', async () => {
    await refused(world, () => world.continue(hops.researcher.token), presenter)
    await refused(world, () => world.continue(hops.scribe.token, {}, 'researcher'), presenter)
  })

  test('is worth nothing with an actor token of its owner that was stolen along with it', async () => {
    const stolen = { actor_token: world.assertion('orchestrator', {}, { typ: 'JWT' }), actor_token_type: TYPE.jwt }
    await refused(world, () => world.continue(hops.root.token, stolen, 'researcher'), presenter)
  })

  test('is worth nothing with client_id naming its owner', async () => {
    const answer = await world.continue(hops.root.token, { client_id: 'orchestrator' }, 'researcher')
    expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client'])
  })
})

describe('a stolen delegation', () => {
  test.each([
    ...THIEVES.filter((thief) => thief !== 'researcher'),
    'orchestrator',
  ])('cannot be accepted by %s, and is still there for whom it was made', async (thief) => {
    const { token } = await granted(world.delegate(hops.root.token))
    await refused(world, () => world.accept(token, {}, thief), presenter)
    await granted(world.accept(token))
  })

  test('cannot be used as a session token by the one it is for, before it is accepted', async () => {
    const { token } = await granted(world.delegate(hops.root.token))
    const wrong = invalidRequest('subject_token_wrong_type')
    await refused(world, () => world.continue(token, {}, 'researcher'), wrong)
    await refused(world, () => world.delegate(token, { audience: 'scribe' }, 'researcher'), wrong)
  })

  test('cannot be accepted after its window, though its node would have lived on', async () => {
    const timed = await startWorld()
    try {
      const { token, claims } = await granted(timed.delegate((await openDeep(timed)).token))
      await timed.advance(claims.exp - timed.now())
      expect(claims.not_after).toBeGreaterThan(claims.exp)
      await refused(timed, () => timed.accept(token), invalidRequest('subject_token_expired'))
    } finally {
      await timed.close()
    }
  })
})

describe('an access token is for a server to receive', () => {
  const as = (type: string, client: string) => () =>
    world.exchange(client, {
      subject_token: hops.access.token,
      subject_token_type: type,
      requested_token_type: TYPE.session,
      authorization_details: JSON.stringify(INTENT),
    })

  test.each([
    'scribe',
    'researcher',
    'orchestrator',
    'orchestrator-twin',
  ])('it cannot be turned back into a session by %s, under any type', async (client) => {
    await refused(world, as(TYPE.access, client), presenter)
    await refused(world, as(TYPE.id, client), presenter)
    const { status, body } = await as(TYPE.session, client)()
    expect([status, body.access_token]).toEqual([400, undefined])
  })

  test('not by the server it is for, which is no agent, either', async () => {
    const answer = await as(TYPE.access, 'warehouse-server')()
    expect([answer.status, answer.body.error]).toEqual([400, 'unauthorized_client'])
  })
})

describe('evidence of another client', () => {
  const TWIN = { aud: 'twin-at-idp' }
  test('a user’s token for another registered agent is not evidence for this one', async () => {
    const request = () => world.open({ subject_token: world.idToken(TWIN) })
    await refused(world, request, invalidRequest('subject_token_audience'))
  })

  test('nor with azp, client_id or may_act naming this one beside the wrong audience', async () => {
    for (const claims of [
      { ...TWIN, azp: 'orchestrator-at-idp' },
      { ...TWIN, client_id: 'orchestrator-at-idp' },
      { ...TWIN, may_act: { sub: 'agent:orchestrator' } },
      { aud: [world.issuer, 'twin-at-idp'], azp: 'orchestrator-at-idp' },
      { aud: ['orchestrator-at-idp', 'twin-at-idp'] },
    ]) {
      await refused(
        world,
        () => world.open({ subject_token: world.idToken(claims) }),
        invalidRequest('subject_token_audience'),
      )
    }
  })

  test('a token for the broker that was issued to another client is refused', async () => {
    for (const claims of [{ azp: 'twin-at-idp' }, { client_id: 'twin-at-idp' }, {}]) {
      await refused(
        world,
        () => world.open({ subject_token: world.idToken({ aud: world.issuer, ...claims }) }),
        presenter,
      )
    }
  })

  test('an agent without a client id at the issuer has no users there', async () => {
    const request = () =>
      world.exchange('scribe', {
        subject_token: world.idToken(),
        subject_token_type: TYPE.id,
        requested_token_type: TYPE.session,
        authorization_details: JSON.stringify(DELEGATED),
      })
    await refused(world, request, invalidRequest('subject_token_audience'))
  })

  test('a token that a user made for the sessions API opens nothing', async () => {
    const request = () => world.open({ subject_token: world.userToken() })
    await refused(world, request, invalidRequest('subject_token_audience'))
  })
})

describe('what an agent holds of a user is not the user', () => {
  test('the agent’s ID token of the user does not open the sessions API', async () => {
    for (const token of [
      world.idToken(),
      world.idpAccessToken(),
      world.idToken({ aud: 'errand-users', azp: 'orchestrator-at-idp' }),
    ]) {
      const answer = await world.bearer(`/sessions/${hops.root.claims.sid}`, token, 'DELETE')
      expect([answer.status, answer.body.error]).toEqual([401, 'invalid_token'])
    }
    expect((await world.introspect(hops.access.token)).body.active).toBe(true)
  })

  test('no token that the broker issued opens the user’s view', async () => {
    for (const { token } of Object.values(hops) as Grant[]) {
      expect((await world.bearer('/sessions', token)).status).toBe(401)
    }
  })
})

test('the same work done by its owner is granted: nothing above was refused for another reason', async () => {
  await granted(world.continue(hops.root.token))
  const asking = details(intent(), tools(WAREHOUSE, { list_tables: {} }))
  await granted(world.delegate(hops.root.token, { authorization_details: asking }))
})
