/**
 * Evidence and names that passed for something else: a refreshed token for a new sign-in, the twin of a blocked signature, a
 * replayed statement about its own agent, a chain written by somebody else, a token already over, the API by another name.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { Secret } from '../../src/kernel/secret.ts'
import { type Claims, details, type Grant, granted, intent, kill, refused, tools } from '../support/hops.ts'
import { startIssuer, type TestIssuer } from '../support/issuer.ts'
import { withTwinSignature } from '../support/keys.ts'
import { invalidRequest, invalidTarget } from '../support/refusal.ts'
import { type Answer, claimsOf, registryDocument, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

const ALICE = 'user:corp:alice'
const blocked = invalidRequest('principal_blocked')
const expired = invalidRequest('subject_token_expired')

let idp: TestIssuer
let world: World
beforeEach(async () => {
  idp = await startIssuer({ slug: 'corp' })
  world = await startWorld({ issuer: idp })
})
afterEach(async () => {
  await world.close()
  await idp.close()
})

/** The same company, its issuer's entry with more in it. */
async function restart(more: object): Promise<void> {
  await world.close()
  const issuers = (registryDocument(idp)['issuers'] as object[]).map((entry) => ({ ...entry, ...more }))
  world = await startWorld({ issuer: idp, registry: { issuers } })
}

const researcherOpens = (claims: object, evidence?: string): Promise<Answer> =>
  world.exchange('researcher', {
    subject_token: evidence ?? world.idToken({ aud: 'researcher-at-idp', ...claims }),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: details(intent(), tools(WAREHOUSE, { query: { limit: { maximum: 50 } }, list_tables: {} })),
  })

async function userRevokes({ claims }: Grant): Promise<number> {
  const answer = await world.bearer(`/sessions/${claims.sid}`, world.userToken(), 'DELETE')
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  return world.now()
}

describe('a token that hides when its user signed in, of an issuer that says so', () => {
  const idToken = () => world.open({ subject_token: world.idToken({ auth_time: undefined }) })
  const accessToken = () =>
    world.open({
      subject_token: world.idpAccessToken({ auth_time: undefined }),
      subject_token_type: TYPE.access,
    })

  test('is good evidence while nothing was revoked', async () => {
    await granted(idToken())
    await granted(accessToken())
  })

  test.each([
    ['the user’s revoke', async () => userRevokes(await granted(world.open()))],
    ['a cut-off of the user', () => kill(world, { dimension: 'user', user: ALICE })],
    ['a cut-off of the agent', () => kill(world, { dimension: 'agent', agent: 'orchestrator' })],
    ['a cut-off of the pair', () => kill(world, { dimension: 'user_agent', user: ALICE, agent: 'orchestrator' })],
  ])('does not pass %s, however new it is', async (_what, revoke) => {
    await revoke()
    await world.advance(125)
    await refused(world, idToken, blocked)
    await refused(world, accessToken, blocked)
    await granted(world.open({ subject_token: world.idToken({ auth_time: world.now() - 5 }) }))
  })

  test('does not carry a revoked agent into another agent’s session either', async () => {
    await userRevokes(await granted(world.open()))
    await world.advance(125)
    const { token } = await granted(researcherOpens({ auth_time: undefined }))
    const asking = {
      audience: 'orchestrator',
      authorization_details: details(intent(), tools(WAREHOUSE, { list_tables: {} })),
    }
    await refused(world, () => world.delegate(token, asking, 'researcher'), blocked)
  })

  test('is not the user at the sessions API after a cut-off of the user', async () => {
    await kill(world, { dimension: 'user', user: ALICE })
    await world.advance(125)
    const hiding = await world.bearer('/sessions', world.userToken('alice', { auth_time: undefined }))
    expect([hiding.status, hiding.body.error]).toEqual([401, 'invalid_token'])
    const saying = await world.bearer('/sessions', world.userToken('alice', { auth_time: world.now() - 5 }))
    expect(saying.status).toBe(200)
  })
})

describe('of an issuer that gives no auth_time, iat counts', () => {
  const issuedAt = (iat: number, exp = iat + 3_600) => world.idToken({ auth_time: undefined, iat, exp })

  test.each([
    ['the user’s revoke', async () => userRevokes(await granted(world.open()))],
    [
      'a cut-off of the user',
      async () => {
        await kill(world, { dimension: 'user', user: ALICE })
        return world.now()
      },
    ],
  ])('after %s', async (_what, revoke) => {
    await restart({ gives_auth_time: false })
    const revokedAt = await revoke()
    await world.advance(180)
    for (const seconds of [-30, 0, 60]) {
      await refused(world, () => world.open({ subject_token: issuedAt(revokedAt + seconds) }), blocked)
    }
    const { token } = await granted(world.open({ subject_token: issuedAt(revokedAt + 62) }))
    await granted(world.continue(token))
  })

  test('but an auth_time that is there counts, and not a newer iat', async () => {
    await restart({ gives_auth_time: false })
    const revokedAt = await userRevokes(await granted(world.open()))
    await world.advance(180)
    await refused(
      world,
      () => world.open({ subject_token: world.idToken({ auth_time: revokedAt - 5, iat: world.now() }) }),
      blocked,
    )
  })
})

describe('blocked evidence under its other signature', () => {
  const upstream = ['orchestrator-at-idp', 'researcher-at-idp']

  test('does not serve another agent that it was meant for as well', async () => {
    await restart({ other_audiences: upstream })
    const evidence = world.idToken({ aud: upstream })
    const twin = withTwinSignature(new Secret(evidence)).reveal()
    expect(twin).not.toBe(evidence)
    // Both verify: before the revoke, either opens.
    await granted(researcherOpens({}, twin))
    await userRevokes(await granted(world.open({ subject_token: evidence })))
    const again = invalidRequest('evidence_blocked')
    for (const text of [evidence, twin]) {
      await refused(world, () => researcherOpens({}, text), again)
      await refused(world, () => world.open({ subject_token: text }), again)
    }
  })

  test('and the twin that opened blocks the token it is the twin of', async () => {
    const evidence = world.idToken()
    const twin = withTwinSignature(new Secret(evidence)).reveal()
    await userRevokes(await granted(world.open({ subject_token: twin })))
    await refused(world, () => world.open({ subject_token: evidence }), invalidRequest('evidence_blocked'))
  })
})

describe('an actor_token is used again', () => {
  const acting = (actor: string) => ({ actor_token: actor, actor_token_type: TYPE.jwt })
  const statement = () => world.assertion('orchestrator', {}, { typ: 'JWT' })

  test('with a fresh assertion beside it: the agent did it, and its record says so', async () => {
    const actor = statement()
    await granted(world.open(acting(actor)))
    for (const text of [actor, withTwinSignature(new Secret(actor)).reveal()]) {
      const { record } = await refused(
        world,
        () => world.open(acting(text)),
        invalidRequest('actor_token_unacceptable'),
      )
      expect(record).toMatchObject({ by: 'agent:orchestrator', by_class: 'agent' })
    }
  })

  test('beside evidence that is refused anyway: still under the agent', async () => {
    const actor = statement()
    await granted(world.open(acting(actor)))
    const stale = { ...acting(actor), subject_token: world.idToken({ exp: world.now() - 120, iat: world.now() - 600 }) }
    const { answer, record } = await answered(() => world.open(stale))
    expect(answer.status).toBe(400)
    expect(record).toMatchObject({ by: 'agent:orchestrator', outcome: 'refused' })
  })

  test('together with the assertion it came with: whoever replays both is a stranger', async () => {
    const [actor, client] = [statement(), world.authentication('orchestrator')]
    await granted(world.open({ ...client, ...acting(actor) }))
    await refused(world, () => world.open({ ...client, ...acting(actor) }), {
      status: 401,
      error: 'invalid_client',
      reason: 'client_assertion_replayed',
      stranger: true,
    })
  })

  async function answered(request: () => Promise<Answer>): Promise<{ answer: Answer; record: Claims }> {
    const before = new Set((await world.audit(100)).map(({ id }) => id))
    const answer = await request()
    const [record, ...others] = (await world.audit(100)).filter(({ id }) => !before.has(id))
    expect(others).toEqual([])
    return { answer, record }
  }
})

describe('an identity provider that is trusted with act writes this broker’s agents into it', () => {
  const refusal = invalidRequest('foreign_actor_not_accepted')
  const ours = (sub: string) => ({ iss: world.issuer, sub, sub_profile: 'ai_agent' })
  const theirs = (act?: object) => ({ iss: idp.url, sub: 'portal', ...(act === undefined ? {} : { act }) })

  test.each([
    ['an agent that exists', () => ours('agent:scribe')],
    ['the very agent that asks', () => ours('agent:orchestrator')],
    ['an agent that does not exist', () => ours('agent:nobody')],
    ['an agent under an actor of its own', () => theirs(ours('agent:scribe'))],
    ['an agent above an actor of its own', () => ({ ...ours('agent:scribe'), act: theirs() })],
  ])('%s: refused', async (_who, act) => {
    await restart({ accepts_foreign_actors: true })
    await refused(world, () => world.open({ subject_token: world.idToken({ act: act() }) }), refusal)
  })

  test('its own actors are kept, under the agent', async () => {
    await restart({ accepts_foreign_actors: true })
    const { claims } = await granted(world.open({ subject_token: world.idToken({ act: theirs() }) }))
    expect(claims.act).toEqual({ ...ours('agent:orchestrator'), act: theirs() })
  })
})

describe('evidence that is over, within the tolerated difference of clocks', () => {
  test.each([0, 1, 10, 29])('for %d seconds: said to be expired, whatever is asked for', async (seconds) => {
    const over = () => world.idToken({ iat: world.now() - 600, exp: world.now() - seconds })
    await refused(world, () => world.open({ subject_token: over() }), expired)
    const access = { requested_token_type: TYPE.access, resource: WAREHOUSE }
    await refused(world, () => world.open({ ...access, subject_token: over() }), expired)
    await refused(
      world,
      () =>
        world.open({
          subject_token: world.idpAccessToken({ iat: world.now() - 600, exp: world.now() - seconds }),
          subject_token_type: TYPE.access,
        }),
      expired,
    )
  })

  test('with a second left, it opens a session of a second', async () => {
    const { claims } = await granted(world.open({ subject_token: world.idToken({ exp: world.now() + 1 }) }))
    expect(claims.exp).toBe(world.now() + 1)
  })
})

describe('the API of the broker by another name', () => {
  const api = () => `${world.issuer}/api`

  test.each([
    ['resource, as it is', () => ({ resource: api() })],
    ['resource with a slash', () => ({ resource: `${api()}/` })],
    ['resource with the scheme in capitals', () => ({ resource: api().replace('http:', 'HTTP:') })],
    ['audience', () => ({ audience: api() })],
    ['audience with a slash', () => ({ audience: `${api()}/` })],
  ])('%s: an API token, its audience spelled as ever', async (_how, params) => {
    for (const client of ['orchestrator', 'warehouse-server']) {
      const { claims } = await granted(world.clientCredentials(client, params()))
      expect([claims.aud, claims.sid, claims.client_id]).toEqual([api(), undefined, client])
    }
    const session = await granted(world.open())
    const token = (await world.clientCredentials('orchestrator', { ...params(), scope: 'sessions' })).body.access_token
    expect((await world.bearer(`/sessions/${session.claims.sid}`, token)).status).toBe(200)
  })

  test.each([
    ['a path below', () => ({ resource: `${api()}/admin` })],
    ['a path beside', () => ({ resource: `${world.issuer}/apis` })],
    ['the issuer alone', () => ({ resource: world.issuer })],
    ['a query', () => ({ resource: `${api()}?x=1` })],
    ['the admin API', () => ({ resource: `${world.issuer}/admin` })],
  ])('%s is another resource, and unknown', async (_what, params) => {
    await refused(world, () => world.clientCredentials('orchestrator', params()), invalidTarget('resource_unknown'))
  })

  test('beside an MCP server it is ambiguous, and not an API token', async () => {
    const both = { resource: [`${api()}/`, WAREHOUSE] }
    const { status, body } = await world.clientCredentials('orchestrator', both)
    expect([status, body.error_reason, body.access_token]).toEqual([400, 'target_ambiguous', undefined])
  })

  test('it cannot be had with a user’s token as subject', async () => {
    const { status, body } = await world.open({ requested_token_type: TYPE.access, resource: `${api()}/` })
    expect([status, body.error, body.access_token]).toEqual([400, 'invalid_target', undefined])
    expect(claimsOf(await world.apiToken())['sub']).toBe('agent:orchestrator')
  })
})
