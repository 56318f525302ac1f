import { describe, expect, it } from 'vitest'
import { prepareAuthentication } from '../../../../src/credentials/client/client-authentication.ts'
import type { PresentedClient } from '../../../../src/credentials/client/presented-client.ts'
import { verifyDecoy } from '../../../../src/credentials/decoy.ts'
import { CLIENT_ASSERTION_LIFETIME_S_MAX } from '../../../../src/kernel/credential-limits.ts'
import { sha256 } from '../../../../src/kernel/digest.ts'
import { CLOCK_SKEW_S, TOKEN_CHARS_MAX } from '../../../../src/kernel/limits.ts'
import { Secret } from '../../../../src/kernel/secret.ts'
import { CLIENT_ASSERTION_TYPE_JWT } from '../../../../src/protocol/oauth.ts'
import {
  type Change,
  type Draft,
  sign,
  signHmac,
  signText,
  swapPayload,
  testKey,
  unsigned,
  vary,
} from '../../../support/keys.ts'
import {
  agent,
  BROKER,
  clientKey,
  NO_KEY_SETS,
  NO_PLATFORM_KEYS,
  NO_SVIDS,
  NOW,
  refusal,
  registry,
  service,
} from '../fixtures.ts'

const clients = [
  agent('orchestrator', {
    keys: [
      clientKey('orchestrator-key', '1'),
      clientKey('orchestrator-next', '2'),
      clientKey('orchestrator-rsa', '3', 'RS256'),
    ],
  }),
  agent('other'),
  agent('sleeping', { state: 'suspended' }),
  service('warehouse'),
]
const known = registry({ clients })

const VALID: Draft = {
  key: testKey('orchestrator-key'),
  header: {},
  claims: { iss: 'orchestrator', sub: 'orchestrator', aud: BROKER, iat: NOW, exp: NOW + 60, jti: 'a-1' },
}

async function present(assertion: Secret | undefined, over: Partial<PresentedClient> = {}) {
  const presented = {
    clientId: undefined,
    assertion,
    assertionType: CLIENT_ASSERTION_TYPE_JWT,
    basic: undefined,
    otherMethods: [],
    ...over,
  }
  const authenticate = await prepareAuthentication(presented, {
    registry: known,
    clientKeys: NO_KEY_SETS,
    ...NO_SVIDS,
    keys: NO_PLATFORM_KEYS,
    issuer: BROKER,
    apiKeys: false,
    clientSecretBasic: false,
    endpoint: '/token',
    now: NOW,
  })
  return authenticate()
}

const broken = (change: Change, over?: Partial<PresentedClient>) => refusal(present(sign(vary(VALID, change)), over))
const claims = (changed: Record<string, unknown>) => broken({ claims: changed })

describe('client authentication by private_key_jwt (RFC 7523 section 3, rfc7523bis)', () => {
  it('accepts a registered key and says which version of the agent it is bound to', async () => {
    const result = await present(sign(VALID))
    expect(result.client).toBe(clients[0])
    expect(result.version).toBe('1')
    expect(result.singleUse).toEqual({
      slot: 'client_assertion',
      key: `assertion:orchestrator:${sha256('a-1')}`,
      issuedAtMs: NOW * 1000,
      expiresAtMs: (NOW + 60 + CLOCK_SKEW_S) * 1000,
    })
    expect((await present(sign(vary(VALID, { key: testKey('orchestrator-next') })))).version).toBe('2')
    expect((await present(sign(vary(VALID, { key: testKey('orchestrator-rsa', 'RS256') })))).version).toBe('3')
  })

  it('accepts the client_id parameter when it says the same, and services as well as agents', async () => {
    expect((await present(sign(VALID), { clientId: 'orchestrator' })).client.clientId).toBe('orchestrator')
    const ofService = vary(VALID, { key: testKey('warehouse-key'), claims: { iss: 'warehouse', sub: 'warehouse' } })
    expect((await present(sign(ofService))).client.kind).toBe('service')
  })

  it('authenticates a suspended agent: refusing it under its own name is for the pipeline', async () => {
    const ofSleeping = vary(VALID, { key: testKey('sleeping-key'), claims: { iss: 'sleeping', sub: 'sleeping' } })
    expect((await present(sign(ofSleeping))).client.state).toBe('suspended')
  })

  it('gives one assertion one single-use key, whatever its signature, and different ones to different ids and clients', async () => {
    const twice = [sign(VALID), sign(VALID)] as const
    expect(twice[0].reveal()).not.toBe(twice[1].reveal()) // ECDSA signs differently each time
    const [first, second] = await Promise.all([present(twice[0]), present(twice[1])])
    expect(first.singleUse).toEqual(second.singleUse)
    const another = await present(sign(vary(VALID, { claims: { jti: 'a-2' } })))
    const ofOther = await present(
      sign(vary(VALID, { key: testKey('other-key'), claims: { iss: 'other', sub: 'other' } })),
    )
    expect(new Set([first, another, ofOther].map((result) => result.singleUse?.key)).size).toBe(3)
  })

  it('keeps separators in a jti out of the single-use key', async () => {
    const result = await present(sign(vary(VALID, { claims: { jti: 'x:assertion:other:y' } })))
    expect(result.singleUse?.key.split(':')).toHaveLength(3)
  })

  describe('one method only (RFC 6749 section 2.3)', () => {
    it('refuses none at all', async () => {
      expect(await refusal(present(undefined, { assertionType: undefined }))).toBe('client_authentication_missing')
      expect(await refusal(present(undefined))).toBe('client_authentication_missing')
    })

    it.each([
      { otherMethods: ['client_secret_post'] },
      { otherMethods: ['authorization'] },
      { basic: new Secret('b3JjaGVzdHJhdG9yOng=') },
    ] as const)('refuses %j instead, and beside an assertion', async (other) => {
      expect(await refusal(present(undefined, other))).toBe('client_authentication_unsupported')
      expect(await refusal(present(sign(VALID), other))).toBe('client_authentication_ambiguous')
      const two = { basic: new Secret('x'), ...other, otherMethods: ['authorization', 'client_secret_post'] as const }
      expect(await refusal(present(undefined, two))).toBe('client_authentication_ambiguous')
    })

    it.each([
      undefined,
      '',
      'urn:ietf:params:oauth:client-assertion-type:saml2-bearer',
      `${CLIENT_ASSERTION_TYPE_JWT} `,
      CLIENT_ASSERTION_TYPE_JWT.toUpperCase(),
    ])('refuses the assertion type %j', async (assertionType) => {
      expect(await refusal(present(sign(VALID), { assertionType }))).toBe('client_assertion_type_unsupported')
    })
  })

  describe('audience (rfc7523bis: the issuer as sole value, simple string comparison)', () => {
    it.each([[BROKER], [[BROKER]]])('accepts %j', async (aud) => {
      expect((await present(sign(vary(VALID, { claims: { aud } })))).client).toBe(clients[0])
    })

    it.each([
      [`${BROKER}/token`],
      [`${BROKER}/`],
      [BROKER.toUpperCase()],
      ['https://broker.example:443'],
      [[BROKER, 'https://elsewhere.example']],
      [[BROKER, `${BROKER}/token`]],
      [[BROKER, BROKER]],
      [[[BROKER]]],
      [{ 0: BROKER }],
      [[]],
      [''],
      [7],
      [undefined],
    ])('refuses %j (audience injection)', async (aud) =>
      expect(await claims({ aud })).toBe('client_assertion_audience'))
  })

  describe('typ (rfc7523bis, RFC 8725 section 3.11)', () => {
    it.each([
      undefined,
      'JWT',
      'jwt',
      'client-authentication+jwt',
      'application/client-authentication+jwt',
    ])('accepts %s', async (typ) => {
      expect((await present(sign(vary(VALID, { header: { typ } })))).client).toBe(clients[0])
    })

    it.each([
      'at+jwt',
      'dpop+jwt',
      'oauth-id-jag+jwt',
      'errand-session+jwt',
      'secevent+jwt',
      'text/jwt',
    ])('refuses %s', async (typ) => {
      expect(await broken({ header: { typ } })).toBe('client_assertion_claims')
    })
  })

  describe('who it is', () => {
    it('refuses iss other than sub, and a client_id parameter other than both', async () => {
      expect(await claims({ sub: 'other' })).toBe('client_assertion_claims')
      expect(await claims({ sub: undefined })).toBe('client_assertion_claims')
      expect(await broken({}, { clientId: 'other' })).toBe('client_assertion_claims')
      expect(await broken({}, { clientId: 'Orchestrator' })).toBe('client_assertion_claims')
      expect(await broken({}, { clientId: '' })).toBe('client_assertion_claims')
    })

    it('refuses an assertion that one client signed in the name of another', async () => {
      expect(await broken({ claims: { iss: 'other', sub: 'other' } })).toBe('client_assertion_signature')
      expect(await broken({ key: testKey('other-key') })).toBe('client_assertion_signature')
      const under = vary(VALID, { key: testKey('other-key'), header: { kid: 'orchestrator-key' } })
      expect(await refusal(present(sign(under)))).toBe('client_assertion_signature')
    })

    it('refuses a client that is not registered, whoever signed and whatever the parameter says', async () => {
      for (const name of ['nobody', 'constructor', '__proto__', 'agent:orchestrator']) {
        const stranger = vary(VALID, { claims: { iss: name, sub: name } })
        expect(await refusal(present(sign(stranger)))).toBe('client_unknown')
        expect(await refusal(present(sign(stranger), { clientId: 'orchestrator' }))).toBe('client_unknown')
      }
    })

    it('does the work of a verification for strangers too, so that time does not tell who is registered', async () => {
      await verifyDecoy() // rejects unless its signature really verifies
      const stranger = sign(vary(VALID, { claims: { iss: 'nobody', sub: 'nobody' } }))
      const unknownKid = sign(vary(VALID, { header: { kid: 'no-such-key' } }))
      const wrongKey = sign(vary(VALID, { key: testKey('other-key'), header: { kid: 'orchestrator-key' } }))
      const median = async (token: Secret) => {
        const times: number[] = []
        for (let round = 0; round < 60; round += 1) {
          const startedMs = performance.now()
          await refusal(present(token))
          times.push(performance.now() - startedMs)
        }
        return times.sort((a, b) => a - b)[30] ?? 0
      }
      const [a, b, c] = [await median(stranger), await median(unknownKid), await median(wrongKey)]
      expect(Math.min(a, b)).toBeGreaterThan(c / 3) // without the decoy it is a tenth
    })
  })

  describe('signature and key (RFC 8725 sections 2.1, 3.1)', () => {
    it.each(['none', 'None', 'nOnE', ''])('refuses alg %j', async (alg) => {
      const reason = await refusal(present(unsigned(VALID, alg)))
      expect(['client_assertion_malformed', 'client_assertion_signature']).toContain(reason)
      const { key, claims: content } = VALID
      const header = JSON.stringify({ alg, kid: key.kid })
      expect(await refusal(present(signText(key, header, JSON.stringify(content))))).toBe('client_assertion_signature')
    })

    it('refuses HS256 keyed with the public key in any of its spellings (algorithm confusion)', async () => {
      for (const key of [testKey('orchestrator-key'), testKey('orchestrator-rsa', 'RS256')]) {
        const spellings = [
          key.publicKey.export({ format: 'der', type: 'spki' }),
          key.publicKey.export({ format: 'pem', type: 'spki' }),
          JSON.stringify(key.publicKey.export({ format: 'jwk' })),
        ]
        for (const spelling of spellings) {
          expect(await refusal(present(signHmac(vary(VALID, { key }), spelling)))).toBe('client_assertion_signature')
        }
      }
    })

    it("refuses an algorithm that is not the key's, and a key id that is not the client's", async () => {
      expect(await broken({ header: { alg: 'RS256' } })).toBe('client_assertion_signature')
      expect(await broken({ header: { alg: 'ES384' } })).toBe('client_assertion_signature')
      expect(await broken({ key: testKey('orchestrator-rsa', 'RS256'), header: { alg: 'PS256' } })).toBe(
        'client_assertion_signature',
      )
      expect(await broken({ header: { kid: 'other-key' } })).toBe('client_assertion_signature')
      expect(await broken({ header: { kid: 'orchestrator-next' } })).toBe('client_assertion_signature')
    })

    it('refuses a token without kid where several keys could have signed, and accepts it where only one could', async () => {
      expect(await broken({ header: { kid: undefined } })).toBe('client_assertion_signature')
      const single = vary(VALID, {
        key: testKey('other-key'),
        header: { kid: undefined },
        claims: { iss: 'other', sub: 'other' },
      })
      expect((await present(sign(single))).version).toBe('1')
    })

    it.each([
      { jwk: testKey('attacker').publicKey.export({ format: 'jwk' }) },
      { jku: 'http://127.0.0.1:1/jwks' },
      { x5u: 'http://127.0.0.1:1/cert' },
      { x5c: ['MII='] },
      { crit: ['x'] },
      { b64: false },
    ])('refuses the header %j', async (header) => {
      expect(await broken({ key: testKey('attacker'), header: { kid: 'orchestrator-key', ...header } })).toBe(
        'client_assertion_malformed',
      )
    })

    it('refuses other claims under a good signature', async () => {
      const swapped = swapPayload(sign(VALID), { ...VALID.claims, exp: NOW + 120 })
      expect(await refusal(present(swapped))).toBe('client_assertion_signature')
    })
  })

  describe('times and id', () => {
    it.each([
      [{ exp: NOW - CLOCK_SKEW_S }, 'client_assertion_expired'],
      [{ exp: undefined }, 'client_assertion_claims'],
      [{ exp: `${NOW + 60}` }, 'client_assertion_claims'],
      [{ exp: NOW + 60.5 }, 'client_assertion_claims'],
      [{ exp: null }, 'client_assertion_claims'],
      [{ nbf: NOW + CLOCK_SKEW_S + 1 }, 'client_assertion_claims'],
      [{ iat: NOW + CLOCK_SKEW_S + 1 }, 'client_assertion_claims'],
      [{ exp: NOW + CLIENT_ASSERTION_LIFETIME_S_MAX + 1 }, 'client_assertion_lifetime'],
      [{ iat: undefined, exp: NOW + CLIENT_ASSERTION_LIFETIME_S_MAX + CLOCK_SKEW_S + 1 }, 'client_assertion_lifetime'],
      [{ jti: undefined }, 'client_assertion_claims'],
      [{ jti: '' }, 'client_assertion_claims'],
      [{ jti: 7 }, 'client_assertion_claims'],
      [{ jti: 'x'.repeat(257) }, 'client_assertion_claims'],
      [{ jti: 'a\nb' }, 'client_assertion_claims'],
    ])('refuses %j', async (changed, reason) => expect(await claims(changed)).toBe(reason))

    it.each([
      { exp: NOW - CLOCK_SKEW_S + 1, iat: NOW - 60 },
      { exp: NOW + CLIENT_ASSERTION_LIFETIME_S_MAX },
      { iat: undefined },
      { nbf: NOW + CLOCK_SKEW_S },
    ])('accepts %j, within the tolerance', async (changed) => {
      expect((await present(sign(vary(VALID, { claims: changed })))).client).toBe(clients[0])
    })
  })

  it.each([
    '',
    'a',
    'a.b',
    'a.b.c.d',
    '{"payload":""}',
    '..',
    'e30.e30.e30',
    'x'.repeat(TOKEN_CHARS_MAX + 1),
  ])('refuses the malformed assertion of case %#', async (text) => {
    const reason = await refusal(present(new Secret(text)))
    expect(['client_assertion_malformed', 'client_assertion_signature']).toContain(reason)
  })
})
