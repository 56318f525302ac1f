import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { frameAccept } from '../../../src/flows/frame/accept.ts'
import { frameAutonomous } from '../../../src/flows/frame/autonomous.ts'
import { frameContinue } from '../../../src/flows/frame/continue.ts'
import { frameDelegate } from '../../../src/flows/frame/delegate.ts'
import { frameOpen } from '../../../src/flows/frame/open.ts'
import { selectFlow } from '../../../src/flows/select-flow.ts'
import type { ExchangeRequest } from '../../../src/flows/token-request.ts'
import { systemClock } from '../../../src/kernel/clock.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import type { KeyRing } from '../../../src/keys/key-ring.ts'
import { ClientKeys } from '../../../src/net/client-keys.ts'
import { createGuardedFetch } from '../../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../../src/net/issuer-keys.ts'
import { TokenReviews } from '../../../src/net/token-reviews.ts'
import { TrustBundles } from '../../../src/net/trust-bundles.ts'
import { TOKEN_TYPE } from '../../../src/protocol/oauth.ts'
import { decodeRegistry } from '../../../src/registry/load-registry.ts'
import { Minter } from '../../../src/tokens/minter.ts'
import { Issuances } from '../../../src/x509/issuances.ts'
import { startIssuer, type TestIssuer } from '../../support/issuer.ts'
import { sign, testKey } from '../../support/keys.ts'
import { registryDocument } from '../../support/world.ts'
import { authority, CHILD, ISSUER, NOW, ROOT, reasonOf, SESSION } from '../sessions/fixtures.ts'
import { JTI, order, SETTINGS, testRing } from '../tokens/fixtures.ts'
import { credentials, exchange, party } from './fixtures.ts'

describe('which flow a request is', () => {
  const NO_WORKLOAD = {}
  const select = (subjectTokenType: ExchangeRequest['subjectTokenType'], requested: ExchangeRequest['requested']) =>
    selectFlow(exchange({ subjectTokenType, requested }), NO_WORKLOAD).frame

  test.each([
    [TOKEN_TYPE.idToken, TOKEN_TYPE.accessToken, frameOpen],
    [TOKEN_TYPE.idToken, TOKEN_TYPE.session, frameOpen],
    [TOKEN_TYPE.accessToken, TOKEN_TYPE.accessToken, frameOpen],
    [TOKEN_TYPE.accessToken, TOKEN_TYPE.session, frameOpen],
    [TOKEN_TYPE.session, TOKEN_TYPE.accessToken, frameContinue],
    [TOKEN_TYPE.session, TOKEN_TYPE.delegation, frameDelegate],
    [TOKEN_TYPE.delegation, TOKEN_TYPE.accessToken, frameAccept],
    [TOKEN_TYPE.delegation, TOKEN_TYPE.session, frameAccept],
    [TOKEN_TYPE.jwt, TOKEN_TYPE.accessToken, frameAutonomous],
    [TOKEN_TYPE.jwt, TOKEN_TYPE.session, frameAutonomous],
  ])('%s for %s', (subject, requested, frame) => {
    expect(select(subject, requested)).toBe(frame)
  })

  test.each([
    [TOKEN_TYPE.idToken, TOKEN_TYPE.delegation],
    [TOKEN_TYPE.accessToken, TOKEN_TYPE.delegation],
    [TOKEN_TYPE.session, TOKEN_TYPE.session],
    [TOKEN_TYPE.delegation, TOKEN_TYPE.delegation],
    [TOKEN_TYPE.jwt, TOKEN_TYPE.delegation],
  ])('%s for %s is none', async (subject, requested) => {
    expect(await reasonOf(() => select(subject, requested))).toBe('requested_token_type_unsupported')
  })

  test('nothing but the grant type makes a request autonomous', () => {
    expect(selectFlow(credentials(), NO_WORKLOAD).frame).toBe(frameAutonomous)
    expect(selectFlow(credentials({ audiences: ['researcher'] }), NO_WORKLOAD).frame).toBe(frameAutonomous)
  })
})

describe('what is verified', () => {
  let idp: TestIssuer
  let ring: KeyRing
  let sources: Parameters<ReturnType<typeof selectFlow>['verify']>[2]
  let minter: Minter
  beforeAll(async () => {
    idp = await startIssuer({ slug: 'corp' })
    ring = await testRing()
    minter = new Minter(ring, SETTINGS)
    const registry = decodeRegistry(registryDocument(idp), 'world.yaml', { issuer: ISSUER })
    const network = { fetchJson: createGuardedFetch({ allowLoopback: true }), clock: systemClock }
    const [keys, clientKeys] = [new IssuerKeys(network), new ClientKeys(network)]
    const bundles = new TrustBundles(network)
    const introspections = { ask: () => Promise.reject(new Error('no token here is opaque')) }
    const issuances = new Issuances(1)
    const others = { introspections, bundles, reviews: new TokenReviews(network) }
    sources = { registry, ring, keys, clientKeys, ...others, issuances, issuer: ISSUER, nonces: undefined }
  })
  afterAll(() => idp.close())

  const idToken = (claims: object = {}) =>
    idp.sign({ sub: 'alice', aud: 'orchestrator-at-idp', iat: NOW - 5, exp: NOW + 600, auth_time: NOW - 10, ...claims })
  const actorToken = (claims: object = {}) =>
    sign({
      key: testKey('orchestrator-key'),
      header: { typ: 'JWT' },
      claims: {
        ...{ iss: 'orchestrator', sub: 'orchestrator', aud: ISSUER, iat: NOW, exp: NOW + 60, jti: 'actor-1' },
        ...claims,
      },
    })
  const verify = (over: Partial<ExchangeRequest>, as = 'orchestrator') => {
    const request = exchange(over)
    const caller = party(as, sources.registry)
    return selectFlow(request, caller.verified).verify(request, caller, sources, NOW)
  }
  const opening = (over: Partial<ExchangeRequest> = {}) =>
    verify({ subjectToken: idToken(), subjectTokenType: TOKEN_TYPE.idToken, requested: TOKEN_TYPE.session, ...over })

  test('a user’s ID token opens', async () => {
    const { evidence, singleUses } = await opening()
    expect(evidence).toMatchObject({ kind: 'user', principal: 'user:corp:alice' })
    expect(singleUses).toEqual([])
  })

  test('as the kind it is offered as: an ID token is no access token', async () => {
    await expect(opening({ subjectTokenType: TOKEN_TYPE.accessToken })).rejects.toMatchObject({
      reason: 'subject_token_wrong_type',
    })
  })

  test('a token of this broker does not open: its access tokens are for servers to receive', async () => {
    const own = await minter.access(order(), 'ES256')
    for (const type of [TOKEN_TYPE.accessToken, TOKEN_TYPE.idToken]) {
      expect(await reasonOf(opening({ subjectToken: own.token, subjectTokenType: type }))).toBe(
        'subject_token_presenter',
      )
    }
  })

  test('a token that is no JWT is refused by its verification', async () => {
    expect(await reasonOf(opening({ subjectToken: new Secret('a.b.c') }))).toBe('token_malformed')
  })

  test('a session token is a handle for its own agent only, and no delegation token', async () => {
    const holder = { ...order().holder, path: [ROOT, CHILD] }
    const own = await minter.session(order({ audience: ISSUER, holder }))
    const subject = { subjectToken: own.token, subjectTokenType: TOKEN_TYPE.session }
    const { evidence } = await verify(subject, 'researcher')
    expect(evidence).toMatchObject({ kind: 'session', session: SESSION, path: [ROOT, CHILD], rv: 41 })
    expect(await reasonOf(verify(subject, 'orchestrator'))).toBe('subject_token_presenter')
    expect(await reasonOf(verify({ ...subject, subjectTokenType: TOKEN_TYPE.delegation }, 'researcher'))).toBe(
      'subject_token_wrong_type',
    )
  })

  test('a delegation token is one for the agent it was made for, and no session token', async () => {
    const made = await minter.delegation(order({ audience: 'scribe', authority: authority() }), JTI)
    const subject = { subjectToken: made.token, subjectTokenType: TOKEN_TYPE.delegation }
    expect((await verify(subject, 'scribe')).evidence).toMatchObject({ kind: 'delegation', jti: JTI })
    expect(await reasonOf(verify(subject, 'researcher'))).toBe('subject_token_presenter')
    expect(await reasonOf(verify({ ...subject, subjectTokenType: TOKEN_TYPE.session }, 'scribe'))).toBe(
      'subject_token_wrong_type',
    )
  })

  test('an actor token that says the same is claimed once', async () => {
    const { singleUses } = await opening({ actor: { token: actorToken(), type: TOKEN_TYPE.jwt } })
    expect(singleUses).toEqual([
      expect.objectContaining({ slot: 'actor_token', key: expect.stringContaining('orchestrator') }),
    ])
  })

  test('an actor token about somebody else is a mismatch, in every flow', async () => {
    const token = sign({
      key: testKey('researcher-key'),
      header: {},
      claims: { iss: 'researcher', sub: 'researcher', aud: ISSUER, iat: NOW, exp: NOW + 60, jti: 'a' },
    })
    const actor = { token, type: TOKEN_TYPE.jwt }
    expect(await reasonOf(opening({ actor }))).toBe('actor_mismatch')
    const holder = order().holder
    const session = await minter.session(order({ audience: ISSUER, holder }))
    const continuing = { subjectToken: session.token, subjectTokenType: TOKEN_TYPE.session }
    const other = { token: actorToken(), type: TOKEN_TYPE.jwt }
    expect(await reasonOf(verify({ ...continuing, actor: other }, 'researcher'))).toBe('actor_mismatch')
  })

  test('one JWT fills one slot: the subject is not its own actor', async () => {
    const subjectToken = idToken()
    expect(await reasonOf(opening({ subjectToken, actor: { token: subjectToken, type: TOKEN_TYPE.jwt } }))).toBe(
      'actor_token_unacceptable',
    )
  })

  test('autonomous work needs no evidence beside the client’s authentication', async () => {
    const request = credentials()
    const { evidence, singleUses } = await selectFlow(request, {}).verify(request, party(), sources, NOW)
    expect(evidence).toMatchObject({ kind: 'self', agent: { clientId: 'orchestrator' } })
    expect(singleUses).toEqual([])
  })
})
