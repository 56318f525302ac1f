import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type UserTokenKind, verifyUserEvidence } from '../../../../src/credentials/user/user-evidence.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import { CLOCK_SKEW_S, NAME_CHARS_MAX } from '../../../../src/kernel/limits.ts'
import { Secret } from '../../../../src/kernel/secret.ts'
import type { Agent } from '../../../../src/model/client.ts'
import type { Issuer, User } from '../../../../src/model/issuer.ts'
import { createGuardedFetch } from '../../../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../../../src/net/issuer-keys.ts'
import { startIssuer, type TestIssuer } from '../../../support/issuer.ts'
import { signHmac, signText, swapPayload, testKey, unsigned, withTwinSignature } from '../../../support/keys.ts'
import { agent, BROKER, NOW, refusal, registry, user } from '../fixtures.ts'

let idp: TestIssuer
let partner: TestIssuer
let keys: IssuerKeys
const orchestrator = agent('orchestrator')
const MINE = 'idp-orchestrator'

beforeAll(async () => {
  idp = await startIssuer()
  partner = await startIssuer({ slug: 'partner' })
})
afterAll(() => Promise.all([idp.close(), partner.close()]))
afterEach(() => idp.misbehave(undefined))

const freshKeys = () =>
  new IssuerKeys({ fetchJson: createGuardedFetch({ allowLoopback: true }), clock: { nowMs: () => NOW * 1000 } })
beforeAll(() => {
  keys = freshKeys()
})

interface World {
  readonly issuer?: Partial<Issuer>
  readonly users?: readonly User[]
  readonly agent?: Agent
  readonly keys?: IssuerKeys
}

function verify(token: Secret, kind: UserTokenKind, world: World = {}) {
  const known = registry({
    issuers: [{ ...idp.record, ...world.issuer }, partner.record],
    users: world.users ?? [user('alice')],
  })
  const deps = { registry: known, keys: world.keys ?? keys, issuer: BROKER, now: NOW }
  return verifyUserEvidence(token, kind, world.agent ?? orchestrator, deps)
}

const ID_CLAIMS = { sub: 'alice', aud: MINE, iat: NOW - 10, exp: NOW + 600, nonce: 'n', at_hash: 'h' }
const AT_CLAIMS = {
  sub: 'alice',
  aud: BROKER,
  client_id: MINE,
  iat: NOW - 10,
  exp: NOW + 600,
  jti: 'j',
  scope: 'read write',
}
const AT = { typ: 'at+jwt' }

const idToken = (claims = {}, header = {}) => idp.sign({ ...ID_CLAIMS, ...claims }, header)
const accessToken = (claims = {}, header = {}) => idp.sign({ ...AT_CLAIMS, ...claims }, { ...AT, ...header })
const refusedId = (claims: object, world?: World) => refusal(verify(idToken(claims), 'id_token', world))
const refusedAt = (claims: object, world?: World) => refusal(verify(accessToken(claims), 'access_token', world))

describe('an ID token as evidence', () => {
  it('names the user, at what time and how they signed in, and gives no scope', async () => {
    const token = idToken({ auth_time: NOW - 100, acr: 'urn:mfa', amr: ['pwd', 'otp'] })
    expect(await verify(token, 'id_token')).toEqual({
      kind: 'user',
      issuer: idp.record,
      user: user('alice'),
      principal: 'user:idp:alice',
      ceiling: { kind: 'identity_only' },
      signedInAt: NOW - 100,
      expiresAt: NOW + 600,
      authTime: NOW - 100,
      acr: 'urn:mfa',
      amr: ['pwd', 'otp'],
      foreignActor: undefined,
      digest: sha256(token.reveal().slice(0, token.reveal().lastIndexOf('.'))),
    })
  })

  it('is the same evidence under the twin of its signature, which verifies as well', async () => {
    const token = idToken({ auth_time: NOW - 100 })
    const twin = withTwinSignature(token)
    expect(twin.reveal()).not.toBe(token.reveal())
    expect((await verify(twin, 'id_token')).digest).toBe((await verify(token, 'id_token')).digest)
  })

  it('counts as older than any revocation where its issuer says auth_time and it does not', async () => {
    expect((await verify(idToken({ auth_time: undefined }), 'id_token')).signedInAt).toBe(0)
  })

  it.each([undefined, 'JWT'])('may have typ %s', async (typ) => {
    expect((await verify(idToken({}, { typ }), 'id_token')).principal).toBe('user:idp:alice')
  })

  it.each([
    'at+jwt',
    'application/at+jwt',
    'logout+jwt',
    'secevent+jwt',
    'errand-session+jwt',
    'oauth-id-jag+jwt',
  ])('may not have typ %s (cross-JWT confusion, RFC 8725 section 2.8)', async (typ) => {
    expect(await refusal(verify(idToken({}, { typ }), 'id_token'))).toBe('subject_token_wrong_type')
  })

  it.each([
    { scope: 'openid' },
    { scp: ['read'] },
    { typ: 'Bearer' },
    { typ: 'Refresh' },
    { token_use: 'access' },
    { events: {} },
  ])('may not be an untyped token of another kind that says so inside: %j', async (claims) =>
    expect(await refusedId(claims)).toBe('subject_token_wrong_type'))

  it.each([{ typ: 'ID' }, { token_use: 'id' }])('may say inside that it is one: %j', async (claims) => {
    expect((await verify(idToken(claims), 'id_token')).kind).toBe('user')
  })

  it('is refused from an issuer whose entry does not accept ID tokens, before its keys are fetched', async () => {
    const before = idp.countRequests()
    expect(await refusedId({}, { issuer: { acceptsIdTokens: false }, keys: freshKeys() })).toBe(
      'subject_token_type_unsupported',
    )
    expect(idp.countRequests()).toBe(before)
  })
})

describe('an access token as evidence (RFC 9068)', () => {
  it.each(['at+jwt', 'application/at+jwt', 'AT+JWT'])('with typ %s brings its scope as a ceiling', async (typ) => {
    expect((await verify(accessToken({}, { typ }), 'access_token')).ceiling).toEqual({
      kind: 'scopes',
      scopes: ['read', 'write'],
    })
  })

  it.each([undefined, 'JWT', 'id+jwt', 'logout+jwt', 'errand-session+jwt'])('is refused with typ %s', async (typ) => {
    expect(await refusal(verify(accessToken({}, { typ }), 'access_token'))).toBe('subject_token_wrong_type')
  })

  it('may not be an ID token, nor pass for one', async () => {
    expect(await refusal(verify(idToken(), 'access_token'))).toBe('subject_token_wrong_type')
    expect(await refusal(verify(accessToken({ aud: MINE }), 'id_token'))).toBe('subject_token_wrong_type')
  })

  it('is refused where nobody has said what its scope means, before its keys are fetched', async () => {
    const before = idp.countRequests()
    expect(await refusedAt({}, { issuer: { accessTokenScope: undefined }, keys: freshKeys() })).toBe(
      'subject_scope_undeclared',
    )
    expect(idp.countRequests()).toBe(before)
  })

  it('is identity only where the issuer entry says so, whatever its scope', async () => {
    for (const scope of ['read', undefined, 7, 'a  b']) {
      const evidence = await verify(accessToken({ scope }), 'access_token', {
        issuer: { accessTokenScope: 'identity_only' },
      })
      expect(evidence.ceiling).toEqual({ kind: 'identity_only' })
    }
  })

  it.each([
    undefined,
    '',
    ' ',
    'read  write',
    ' read',
    'read\twrite',
    'a"b',
    ['read'],
    { read: true },
    7,
    null,
    'x '.repeat(200),
  ])('is refused when its scope is %j: unknown is none, and none is not everything', async (scope) =>
    expect(await refusedAt({ scope })).toBe('subject_token_claims'))
})

describe('whom the token was meant for', () => {
  it("refuses another application's token (audience mix-up)", async () => {
    for (const aud of [
      'idp-other',
      'https://api.example',
      `${BROKER}/`,
      `${BROKER}/token`,
      MINE.toUpperCase(),
      `${MINE} `,
      'orchestrator',
    ]) {
      expect(await refusedId({ aud })).toBe('subject_token_audience')
      expect(await refusedAt({ aud })).toBe('subject_token_audience')
    }
  })

  it.each([
    [],
    [[]],
    7,
    { a: 1 },
    '',
    null,
    undefined,
    [''],
    [MINE, 7],
    Array.from({ length: 17 }, (_, index) => `${MINE}${index || ''}`),
    [MINE, MINE],
  ])('refuses the audience %j', async (aud) => expect(await refusedId({ aud })).toBe('subject_token_audience'))

  it('refuses an agent that the record gives no client id at this issuer', async () => {
    const elsewhere = agent('orchestrator', { upstreamClientIds: new Map([['partner', MINE]]) })
    expect(await refusedId({}, { agent: elsewhere })).toBe('subject_token_audience')
    expect(await refusedAt({}, { agent: elsewhere })).toBe('subject_token_presenter')
  })

  it('refuses further audiences unless the issuer entry lists every one', async () => {
    const listed = { issuer: { otherAudiences: ['https://api.example', 'https://b.example'] } }
    const several = [MINE, 'https://api.example']
    expect(await refusedId({ aud: several })).toBe('subject_token_audience')
    expect((await verify(idToken({ aud: several }), 'id_token', listed)).kind).toBe('user')
    expect(await refusedId({ aud: [...several, 'https://c.example'] }, listed)).toBe('subject_token_audience')
    expect(await refusedId({ aud: [MINE, BROKER] }, listed)).toBe('subject_token_audience')
    expect(await refusedAt({ aud: [BROKER, 'https://c.example'] }, listed)).toBe('subject_token_audience')
    expect((await verify(accessToken({ aud: [BROKER, 'https://b.example'] }), 'access_token', listed)).kind).toBe(
      'user',
    )
  })

  it('does not take a listed further audience for the agent itself', async () => {
    const listed = { issuer: { otherAudiences: ['https://api.example'] } }
    expect(await refusedId({ aud: 'https://api.example' }, listed)).toBe('subject_token_audience')
    expect(await refusedAt({ aud: 'https://api.example' }, listed)).toBe('subject_token_audience')
  })

  it("lets azp decide among several audiences, and leaves a front end's azp beside the agent's own audience alone", async () => {
    const listed = { issuer: { otherAudiences: ['https://api.example'] } }
    const aud = [MINE, 'https://api.example']
    expect((await verify(idToken({ aud, azp: MINE }), 'id_token', listed)).kind).toBe('user')
    for (const azp of ['idp-other', '', 7, null, [MINE]]) {
      expect(await refusedId({ aud, azp }, listed)).toBe('subject_token_presenter')
    }
    expect((await verify(idToken({ azp: 'front-end' }), 'id_token')).kind).toBe('user')
  })

  it.each([
    { client_id: MINE },
    { azp: MINE, client_id: undefined },
    { azp: MINE, client_id: MINE },
  ])('accepts a token for this broker that was issued to the agent: %j', async (claims) =>
    expect((await verify(accessToken(claims), 'access_token')).kind).toBe('user'))

  it.each([
    { client_id: undefined },
    { client_id: 'idp-other' },
    { client_id: 'orchestrator' },
    { client_id: [MINE] },
    { client_id: MINE, azp: 'idp-other' },
    { client_id: 'idp-other', azp: MINE },
    { client_id: null },
  ])('refuses a token for this broker that was issued to someone else: %j', async (claims) => {
    expect(await refusedAt(claims)).toBe('subject_token_presenter')
  })
})

describe('may_act (RFC 8693 section 4.4)', () => {
  it.each([
    { sub: 'agent:orchestrator' },
    { sub: 'agent:orchestrator', iss: BROKER },
    { sub: MINE },
    { sub: 'agent:orchestrator', sub_profile: 'ai_agent' },
  ])('naming the agent lets it use a token that a front end got for the broker: %j', async (may_act) => {
    const evidence = await verify(accessToken({ client_id: 'front-end', may_act }), 'access_token')
    expect(evidence.kind).toBe('user')
    expect(JSON.stringify(evidence)).not.toContain('may_act')
  })

  it('may name it by its client id at the issuer of the token', async () => {
    const may_act = { sub: MINE, iss: idp.url }
    expect((await verify(accessToken({ client_id: 'front-end', may_act }), 'access_token')).kind).toBe('user')
  })

  it('does not make a token for another audience usable', async () => {
    expect(await refusedAt({ aud: 'https://api.example', may_act: { sub: 'agent:orchestrator' } })).toBe(
      'subject_token_audience',
    )
  })

  const mismatches = () => [
    { sub: 'agent:other' },
    { sub: 'orchestrator' },
    { sub: 'service:orchestrator' },
    { sub: 'agent:orchestrator', iss: idp.url },
    { sub: MINE, iss: BROKER },
    { sub: MINE, iss: partner.url },
    { sub: 'agent:orchestrator', iss: `${BROKER}/` },
    { sub: 'agent:orchestrator', iss: null },
    { sub: ['agent:orchestrator'] },
    { iss: BROKER },
    {},
    { sub: 'agent:orchestrator', aud: 'https://only-here.example' },
    { sub: 'agent:orchestrator', sub_profile: 'service' },
    'agent:orchestrator',
    ['agent:orchestrator'],
    [{ sub: 'agent:orchestrator' }],
    null,
    true,
  ]
  it('must match where it is present, even when the audience is right, and is never repaired', async () => {
    for (const may_act of mismatches()) {
      expect([may_act, await refusedId({ may_act })]).toEqual([may_act, 'may_act_mismatch'])
      expect([may_act, await refusedAt({ may_act })]).toEqual([may_act, 'may_act_mismatch'])
    }
  })

  it('does not match an absent client id', async () => {
    const nobody = agent('orchestrator', { upstreamClientIds: new Map() })
    expect(await refusedAt({ may_act: { iss: idp.url } }, { agent: nobody })).toBe('may_act_mismatch')
  })
})

describe('act and cnf in foreign evidence', () => {
  const act = { iss: 'https://upstream.example', sub: 'planner', act: { iss: 'https://upstream.example', sub: 'root' } }

  it('is refused, never dropped, unless the issuer is trusted with it', async () => {
    expect(await refusedId({ act })).toBe('foreign_actor_not_accepted')
    expect(await refusedAt({ act: null })).toBe('foreign_actor_not_accepted')
  })

  it('is kept whole where the issuer is trusted with it', async () => {
    const evidence = await verify(idToken({ act }), 'id_token', { issuer: { acceptsForeignActors: true } })
    expect(evidence.foreignActor).toEqual(act)
  })

  it.each([
    null,
    'planner',
    [],
    {},
    { sub: 'planner' },
    { iss: 'x', sub: 'y', act: 'z' },
    { iss: 'x', sub: 'y', exp: 1 },
  ])('is refused when it is malformed: %j', async (malformed) => {
    expect(await refusedId({ act: malformed }, { issuer: { acceptsForeignActors: true } })).toBe(
      'actor_chain_malformed',
    )
  })

  it('is refused when it is deeper than a chain may be, not cut', async () => {
    let deep: object = { iss: 'x', sub: '0' }
    for (let level = 1; level <= 5; level += 1) deep = { iss: 'x', sub: String(level), act: deep }
    expect(await refusedId({ act: deep }, { issuer: { acceptsForeignActors: true } })).toBe('actor_chain_too_deep')
  })

  it('says which key the token is bound to, for the request to prove', async () => {
    const cnf = { jkt: 'A'.repeat(43) }
    const tokens = [await verify(idToken({ cnf }), 'id_token'), await verify(accessToken({ cnf }), 'access_token')]
    for (const evidence of tokens) {
      expect(evidence.confirmation).toEqual({ kind: 'jkt', thumbprint: cnf.jkt })
    }
    expect((await verify(idToken(), 'id_token')).confirmation).toBeUndefined()
  })

  it.each([{ kid: 'x' }, {}, null])('refuses a key that nobody here can check: cnf %j', async (cnf) => {
    expect(await refusedAt({ cnf })).toBe('subject_token_claims')
    expect(await refusedId({ cnf })).toBe('subject_token_claims')
  })
})

describe('the user', () => {
  it('must be listed and active', async () => {
    expect(await refusedId({ sub: 'mallory' })).toBe('user_not_listed')
    expect(await refusedId({}, { users: [user('alice', { active: false })] })).toBe('user_inactive')
  })

  it('is another principal at another issuer under the same name', async () => {
    const both = {
      users: [user('alice'), user('alice', { issuerSlug: 'partner' })],
      agent: agent('orchestrator', {
        upstreamClientIds: new Map([
          ['idp', MINE],
          ['partner', MINE],
        ]),
      }),
    }
    expect((await verify(idToken(), 'id_token', both)).principal).toBe('user:idp:alice')
    expect((await verify(partner.sign(ID_CLAIMS), 'id_token', both)).principal).toBe('user:partner:alice')
    expect(await refusal(verify(partner.sign(ID_CLAIMS), 'id_token', { ...both, users: [user('alice')] }))).toBe(
      'user_not_listed',
    )
  })

  it.each([
    undefined,
    '',
    7,
    null,
    ['alice'],
    'a\nb',
    'a\u0000',
    'a\u0085',
    'x'.repeat(NAME_CHARS_MAX + 1),
  ])('has no subject like case %#', async (sub) => expect(await refusedId({ sub })).toBe('subject_token_claims'))

  it.each([
    { auth_time: '1800000000' },
    { auth_time: NOW + CLOCK_SKEW_S + 1 },
    { auth_time: -1 },
    { auth_time: 1.5 },
    { auth_time: null },
    { acr: 7 },
    { acr: '' },
    { amr: 'pwd' },
    { amr: [7] },
    { amr: Array.from({ length: 17 }, () => 'pwd') },
  ])('has no authentication like case %#', async (claims) =>
    expect(await refusedId(claims)).toBe('subject_token_claims'))
})

describe('times (RFC 7519 section 4.1)', () => {
  it.each([
    [{ exp: NOW - CLOCK_SKEW_S }, 'subject_token_expired'],
    [{ exp: undefined }, 'subject_token_claims'],
    [{ exp: '1800000600' }, 'subject_token_claims'],
    [{ exp: 1.5 }, 'subject_token_claims'],
    [{ iat: undefined }, 'subject_token_claims'],
    [{ iat: NOW + CLOCK_SKEW_S + 1 }, 'subject_token_not_yet_valid'],
    [{ nbf: NOW + CLOCK_SKEW_S + 1 }, 'subject_token_not_yet_valid'],
    [{ iat: NOW, exp: NOW - 5 }, 'subject_token_claims'],
  ])('refuse %j', async (claims, reason) => expect(await refusedId(claims)).toBe(reason))
})

describe('issuer, key and signature', () => {
  it.each([
    () => 'https://evil.example',
    () => `${idp.url}/`,
    () => idp.url.toUpperCase(),
    () => undefined,
    () => '',
    () => 7,
    () => [idp.url],
    () => 'constructor',
    () => BROKER,
  ])('refuses an issuer that is not configured, without a single connection (case %#)', async (iss) => {
    const before = [idp.countConnections(), partner.countConnections()]
    const header = { kid: randomUUID() }
    expect(await refusal(verify(idToken({ iss: iss() }, header), 'id_token', { keys: freshKeys() }))).toBe(
      'subject_issuer_unknown',
    )
    expect([idp.countConnections(), partner.countConnections()]).toEqual(before)
  })

  it('never follows a key reference in a token (jku, x5u, jwk)', async () => {
    const attacker = await startIssuer({ slug: 'attacker' })
    try {
      const before = idp.countConnections()
      for (const header of [
        { jku: `${attacker.url}/jwks` },
        { x5u: `${attacker.url}/cert` },
        { jwk: attacker.key.publicKey.export({ format: 'jwk' }) },
      ]) {
        const forged = attacker.sign({ ...ID_CLAIMS, iss: idp.url }, { kid: idp.key.kid, ...header })
        expect(await refusal(verify(forged, 'id_token', { keys: freshKeys() }))).toBe('token_malformed')
      }
      expect([attacker.countConnections(), idp.countConnections() - before]).toEqual([0, 0])
    } finally {
      await attacker.close()
    }
  })

  it("refuses one issuer's token under another's name, also when both use one kid", async () => {
    const underPartner = partner.sign({ ...ID_CLAIMS, iss: idp.url })
    expect(await refusal(verify(underPartner, 'id_token'))).toBe('subject_token_signature')
    const sameKid = partner.sign({ ...ID_CLAIMS, iss: idp.url }, { kid: idp.key.kid })
    expect(await refusal(verify(sameKid, 'id_token'))).toBe('subject_token_signature')
  })

  it('refuses none, HS256 keyed with the public key, and algorithms the issuer does not use, without fetching keys', async () => {
    const before = idp.countRequests()
    const draft = idp.draft(ID_CLAIMS)
    const rsa = { ...draft, key: testKey('idp-1', 'RS256') }
    const pem = idp.key.publicKey.export({ format: 'pem', type: 'spki' })
    const world = { keys: freshKeys() }
    expect(await refusal(verify(unsigned(draft), 'id_token', world))).toBe('subject_token_signature')
    expect(await refusal(verify(signHmac(draft, pem), 'id_token', world))).toBe('subject_token_signature')
    const rsaSigned = signText(rsa.key, JSON.stringify({ alg: 'RS256', kid: 'idp-1' }), JSON.stringify(draft.claims))
    expect(await refusal(verify(rsaSigned, 'id_token', world))).toBe('subject_token_signature')
    expect(idp.countRequests()).toBe(before)
  })

  it('refuses changed claims, unknown kids (with bounded fetches), and texts that are no JWT', async () => {
    expect(await refusal(verify(swapPayload(idToken(), { ...ID_CLAIMS, iss: idp.url, sub: 'bob' }), 'id_token'))).toBe(
      'subject_token_signature',
    )
    const world = { keys: freshKeys() }
    const before = idp.countRequests()
    for (let round = 0; round < 50; round += 1) {
      expect(await refusal(verify(idToken({}, { kid: randomUUID() }), 'id_token', world))).toBe(
        'subject_token_signature',
      )
    }
    expect(idp.countRequests() - before).toBe(1)
    for (const text of ['', 'a.b.c', 'not a token', '{}', 'e30.e30.AA.AA']) {
      expect(await refusal(verify(new Secret(text), 'id_token'))).toBe('token_malformed')
    }
    const twice = signText(
      idp.key,
      `{"alg":"ES256","kid":"${idp.key.kid}"}`,
      `{"iss":"https://evil.example","iss":${JSON.stringify(idp.url)}}`,
    )
    expect(await refusal(verify(twice, 'id_token'))).toBe('token_malformed')
  })

  it('says unavailable, not unknown, when the keys cannot be read', async () => {
    idp.misbehave((_request, response) => response.writeHead(500).end())
    expect(await refusedId({}, { keys: freshKeys() })).toBe('subject_issuer_unavailable')
  })
})
