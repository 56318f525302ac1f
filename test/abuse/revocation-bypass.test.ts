/**
 * The agent whose user has just turned it out tries every way back in (DESIGN §7, "no way round"): the same evidence, other
 * evidence of the same sign-in, another kind of token, another agent's session, the subtree instead of the session.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  details,
  type Grant,
  granted,
  intent,
  kill,
  lift,
  managementToken,
  openDeep,
  refused,
  tools,
} from '../support/hops.ts'
import { startIssuer } from '../support/issuer.ts'
import { invalidRequest } from '../support/refusal.ts'
import { type Answer, registryDocument, startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let evidence: string
let session: Grant
let revokedAt: number
beforeEach(async () => {
  world = await startWorld()
  evidence = world.idToken()
  session = await granted(world.open({ subject_token: evidence }))
})
afterEach(() => world.close())

async function userRevokes(path = `/sessions/${session.claims.sid}`): Promise<void> {
  const answer = await world.bearer(path, world.userToken(), 'DELETE')
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  revokedAt = world.now()
}

/** Other evidence, though all that the broker reads of it may be the same. */
const open =
  (claims: object = {}) =>
  () =>
    world.open({ subject_token: world.idToken({ jti: 'another', ...claims }) })
const blocked = invalidRequest('principal_blocked')

describe('after the user’s revoke', () => {
  beforeEach(() => userRevokes())

  test('the evidence that opened the session opens no other, with any agent-side variation', async () => {
    const again = invalidRequest('evidence_blocked')
    await refused(world, () => world.open({ subject_token: evidence }), again)
    const access = { subject_token: evidence, requested_token_type: TYPE.access, resource: WAREHOUSE }
    await refused(world, () => world.open(access), again)
    await refused(world, () => world.open({ subject_token: evidence, agent_instance: 'another-copy' }), again)
  })

  test('other evidence of the same sign-in is refused: refreshing an ID token is not signing in', async () => {
    await world.advance(300)
    const now = world.now()
    await refused(world, open({ auth_time: revokedAt - 10, iat: now }), blocked)
    await refused(world, open({ auth_time: revokedAt - 86_400, iat: now }), blocked)
    const access = world.idpAccessToken({ auth_time: revokedAt - 10 })
    await refused(world, () => world.open({ subject_token: access, subject_token_type: TYPE.access }), blocked)
  })

  test('leaving auth_time out does not make a token newer than its sign-in', async () => {
    await world.advance(300)
    await refused(world, open({ auth_time: undefined, iat: world.now() }), blocked)
  })

  test('a sign-in passes from the second after the margin on, and not before', async () => {
    await world.advance(120)
    await refused(world, open({ auth_time: revokedAt }), blocked)
    await refused(world, open({ auth_time: revokedAt + 60 }), blocked)
    const { token } = await granted(open({ auth_time: revokedAt + 61 })())
    await granted(world.continue(token))
  })

  test('claiming a sign-in that lies in the future does not help', async () => {
    await refused(world, open({ auth_time: world.now() + 61 }), invalidRequest('subject_token_claims'))
  })

  test('another user’s work with the agent, and another agent’s for the user, go on', async () => {
    await granted(open({ sub: 'bob' })())
    await granted(researcherFor())
  })

  test('the agent cannot come back inside another agent’s session', async () => {
    // The researcher may delegate to the orchestrator; the user has revoked the orchestrator, not the researcher.
    const other = await granted(researcherFor())
    await refused(world, () => toOrchestrator(other), blocked)
  })

  test('an operator who lifts the blocks still cannot make old evidence new', async () => {
    await lift(world, { kind: 'pair', id: 'user:corp:alice|orchestrator' })
    await refused(world, open({ auth_time: revokedAt - 10 }), blocked)
    await refused(world, () => world.open({ subject_token: evidence }), invalidRequest('evidence_blocked'))
    await refused(world, () => world.continue(session.token), invalidRequest('session_not_issuing'))
  })
})

test('an earlier session of the same pair dies with the one the user named', async () => {
  const other = await granted(open()())
  const access = await granted(world.continue(other.token))
  await userRevokes()
  expect((await world.introspect(access.token)).body).toEqual({ active: false })
  await refused(world, () => world.continue(other.token), invalidRequest('session_not_issuing'))
})

test('what the researcher passed to the agent in the user’s name before the revoke is dead with the rest', async () => {
  const other = await granted(researcherFor())
  const [pending, taken] = [await granted(toOrchestrator(other)), await granted(toOrchestrator(other))]
  const accepted = await granted(world.accept(taken.token, {}, 'orchestrator'))
  await userRevokes()
  const dead = invalidRequest('node_revoked')
  await refused(world, () => world.accept(pending.token, {}, 'orchestrator'), dead)
  await refused(world, () => world.continue(accepted.token), dead)
  await granted(world.continue(other.token, {}, 'researcher'))
})

test('a user who ends the root node has ended the session: the agent finds no way round by that either', async () => {
  await userRevokes(`/sessions/${session.claims.sid}/nodes/${session.claims.anc[0]}`)
  await refused(world, () => world.open({ subject_token: evidence }), invalidRequest('evidence_blocked'))
  await refused(world, open(), blocked)
})

test('an operator’s revoke by session leaves no way round either', async () => {
  const path = `/admin/v1/sessions/${session.claims.sid}`
  expect((await world.bearer(path, await managementToken(world), 'DELETE')).status).toBe(200)
  await refused(world, () => world.open({ subject_token: evidence }), invalidRequest('evidence_blocked'))
  await refused(world, open(), blocked)
})

test('an operator’s kill of the root node leaves no way round either', async () => {
  await kill(world, { dimension: 'node', session: session.claims.sid, node: session.claims.anc[0] })
  await refused(world, () => world.open({ subject_token: evidence }), invalidRequest('evidence_blocked'))
})

const OWN_ENDS: readonly (readonly [string, () => Promise<Answer>])[] = [
  ['closing by name', async () => world.bearer(`/sessions/${session.claims.sid}`, await world.apiToken(), 'DELETE')],
  ['revoking its token', () => world.revoke(session.token)],
]
test.each(
  OWN_ENDS,
)('the agent’s own end of a session (%s) blocks nothing: the same evidence opens the next', async (_how, end) => {
  const answer = await end()
  expect(answer.status, JSON.stringify(answer.body)).toBe(200)
  await refused(world, () => world.continue(session.token), invalidRequest('session_not_issuing'))
  await granted(world.open({ subject_token: evidence }))
})

test('where an issuer gives no auth_time, iat counts', async () => {
  const idp = await startIssuer({ slug: 'corp' })
  const issuers = (registryDocument(idp)['issuers'] as object[]).map((one) => ({ ...one, gives_auth_time: false }))
  const plain = await startWorld({ issuer: idp, registry: { issuers } })
  try {
    const untimed = (more: object = {}) => plain.idToken({ auth_time: undefined, ...more })
    const { claims } = await granted(plain.open({ subject_token: untimed() }))
    await plain.bearer(`/sessions/${claims.sid}`, plain.userToken(), 'DELETE')
    const at = plain.now()
    await plain.advance(120)
    await refused(plain, () => plain.open({ subject_token: untimed({ iat: at + 60 }) }), blocked)
    const { token } = await granted(plain.open({ subject_token: untimed({ iat: at + 61 }) }))
    await granted(plain.continue(token))
  } finally {
    await plain.close()
    await idp.close()
  }
})

function researcherFor(): Promise<Answer> {
  return world.exchange('researcher', {
    subject_token: world.idToken({ aud: 'researcher-at-idp' }),
    subject_token_type: TYPE.id,
    requested_token_type: TYPE.session,
    authorization_details: details(
      intent({ max_depth: 1 }),
      tools(WAREHOUSE, { query: { limit: { maximum: 50 } }, list_tables: {} }),
    ),
  })
}

function toOrchestrator(from: Grant): Promise<Answer> {
  const asking = details(intent(), tools(WAREHOUSE, { list_tables: {} }))
  return world.delegate(from.token, { audience: 'orchestrator', authorization_details: asking }, 'researcher')
}

test('the sessions here are what they seem: without a revoke, all of these ways are open', async () => {
  await granted(world.open({ subject_token: evidence }))
  await granted(openDeep(world).then(({ token }) => world.continue(token)))
  await granted(world.accept((await granted(toOrchestrator(await granted(researcherFor())))).token, {}, 'orchestrator'))
})
