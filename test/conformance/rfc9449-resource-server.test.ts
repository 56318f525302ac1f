/**
 * The verifier at an MCP server (RFC 9449 §7, §9; checklist #91, #92, and #90 there): tokens from a real broker, proofs from
 * oauth4webapi and from hand, both errors as their clients need them.
 */
import { createHash } from 'node:crypto'
import * as oauth from 'oauth4webapi'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { challengeHeader } from '../../src/sdk/verify/challenge.ts'
import { TokenRefused } from '../../src/sdk/verify/verified-token.ts'
import { createVerifier, type Holder, type Verifier, type VerifierOptions } from '../../src/sdk/verify/verifier.ts'
import { athOf, holderKey, jktOf, type ProofChange, proof, proving } from '../support/dpop.ts'
import { granted, openAccess } from '../support/hops.ts'
import { startWorld, TYPE, WAREHOUSE, type World } from '../support/world.ts'

let world: World
let bound: string
let bearer: string
beforeAll(async () => {
  world = await startWorld()
  const params = { requested_token_type: TYPE.access, resource: WAREHOUSE }
  bound = (await granted(world.open(params, proving(world, key)))).token
  bearer = (await granted(openAccess(world))).token
})
afterAll(() => world.close())

const key = holderKey()
const other = holderKey('other')

function verifierWith(more: Partial<VerifierOptions> = {}): Verifier {
  const door = async ({ url }: { url: string }) => {
    const response = await world.broker.app.request(new URL(url).pathname)
    return response.text()
  }
  return createVerifier({ issuer: world.issuer, resource: WAREHOUSE, door, clock: world.clock, ...more })
}

let verifier: Verifier
beforeEach(() => {
  verifier = verifierWith()
})

const made = (change: ProofChange = {}, by = key, token = bound): string =>
  proof(world, by, { ...change, claims: { htu: WAREHOUSE, ath: athOf(token), ...change.claims } })
const sentWith = (...proofs: string[]): Holder => ({ dpop: { proofs, method: 'POST' } })

/** `[error, description]` of a refusal. */
async function refusal(token: string, holder?: Holder, by = verifier): Promise<readonly [string, string]> {
  const outcome = await by.verify(token, holder).then(
    () => new Error('the token was believed'),
    (error: unknown) => error,
  )
  if (!(outcome instanceof TokenRefused)) throw outcome
  expect(outcome.kind).toBe('invalid')
  return [outcome.error, outcome.message]
}

describe('#91 a bound token', () => {
  test('is believed with the proof of its key, for this request', async () => {
    const { claims } = await verifier.verify(bound, sentWith(made()))
    expect(claims['cnf']).toEqual({ jkt: jktOf(key) })
  })

  test('RFC 9449 §7.2 is refused as a bearer token', async () => {
    expect(await refusal(bound)).toEqual(['invalid_token', expect.stringContaining('scheme DPoP')])
    expect(await refusal(bound, {})).toEqual(['invalid_token', expect.stringContaining('scheme DPoP')])
  })

  test('is refused with a proof by another key: whoever has stolen it has no other', async () => {
    expect(await refusal(bound, sentWith(made({}, other)))).toEqual([
      'invalid_token',
      expect.stringContaining('another'),
    ])
  })

  test.each([
    ['no proof', () => []],
    ['two proofs', () => [made(), made()]],
    ['no JWT', () => ['proof']],
    ['no ath', () => [made({ claims: { ath: undefined } })]],
    ['the ath of another token', () => [made({}, key, bearer)]],
    ['another method', () => [made({ claims: { htm: 'GET' } })]],
    ['another server', () => [made({ claims: { htu: 'https://slack.example/mcp' } })]],
    ['the token endpoint', () => [made({ claims: { htu: `${world.issuer}/token` } })]],
    ['no typ', () => [made({ header: { typ: 'JWT' } })]],
    ['an old iat', () => [made({ claims: { iat: world.now() - 91 } })]],
  ] as const)('%s: invalid_dpop_proof', async (_what, proofs) => {
    expect(await refusal(bound, sentWith(...proofs()))).toEqual(['invalid_dpop_proof', expect.any(String)])
  })

  test('a proof is good once; an attempt by another key uses nothing up', async () => {
    const claims = { jti: 'once' }
    await refusal(bound, sentWith(made({ claims }, other)))
    await verifier.verify(bound, sentWith(made({ claims })))
    expect(await refusal(bound, sentWith(made({ claims })))).toEqual(['invalid_dpop_proof', expect.any(String)])
  })

  test('whoever runs several processes says who has seen a proof', async () => {
    const asked: [string, number][] = []
    const isFirstUse = (id: string, expiresAtMs: number) => asked.push([id, expiresAtMs]) === 1
    const by = verifierWith({ proofs: { isFirstUse } })
    const presented = made()
    await by.verify(bound, sentWith(presented))
    expect((await refusal(bound, sentWith(presented), by))[0]).toBe('invalid_dpop_proof')
    expect(asked[0]).toEqual(asked[1])
    expect(asked[0]?.[1]).toBeGreaterThan(world.clock.nowMs() + 90_000)
  })

  test('at another URL of the server, where it says so', async () => {
    const url = `${WAREHOUSE}/stream`
    const dpop = { proofs: [made({ claims: { htu: url } })], method: 'POST', url }
    await expect(verifier.verify(bound, { dpop })).resolves.toBeDefined()
  })

  test('#90 RFC 9449 §9 a server may ask for a nonce of its own', async () => {
    const by = verifierWith({ proofs: { isGoodNonce: (nonce) => nonce === 'ours' } })
    expect((await refusal(bound, sentWith(made()), by))[0]).toBe('use_dpop_nonce')
    expect((await refusal(bound, sentWith(made({ claims: { nonce: 'theirs' } })), by))[0]).toBe('use_dpop_nonce')
    await expect(by.verify(bound, sentWith(made({ claims: { nonce: 'ours' } })))).resolves.toBeDefined()
  })

  test('#92 MCP’s DPoP extension: the proof names the body', async () => {
    const by = verifierWith({ proofs: { contentDigest: true } })
    const body = Buffer.from('{"jsonrpc":"2.0"}')
    const digest = (bytes: Buffer) => `sha-256=:${createHash('sha256').update(bytes).digest('base64')}:`
    const holder = (content_digest: string | undefined): Holder => ({
      dpop: { proofs: [made({ claims: { content_digest } })], method: 'POST', body },
    })
    await expect(by.verify(bound, holder(digest(body)))).resolves.toBeDefined()
    for (const wrong of [undefined, digest(Buffer.from('{}')), 'sha-256=::']) {
      expect((await refusal(bound, holder(wrong), by))[0]).toBe('invalid_dpop_proof')
    }
  })
})

describe('a token that is bound to nothing', () => {
  test('is a bearer token, and none with the scheme DPoP', async () => {
    await expect(verifier.verify(bearer)).resolves.toBeDefined()
    expect((await refusal(bearer, sentWith(made({}, key, bearer))))[0]).toBe('invalid_token')
  })

  test('is refused where the server takes bound tokens only', async () => {
    const by = verifierWith({ senderConstraint: 'required' })
    expect((await refusal(bearer, undefined, by))[0]).toBe('invalid_token')
    await expect(by.verify(bound, sentWith(made()))).resolves.toBeDefined()
  })
})

test('RFC 9449 §7.1 the challenge names the scheme, the algorithms and the error', () => {
  const header = challengeHeader({
    scheme: 'DPoP',
    error: 'invalid_dpop_proof',
    description: 'why',
    scopes: [],
    resourceMetadata: 'https://warehouse.example/.well-known/oauth-protected-resource/mcp',
  })
  expect(header).toMatch(/^DPoP algs="ES256 [^"]*", error="invalid_dpop_proof", error_description="why", resource_/)
})

test('oauth4webapi, which nobody here wrote, makes proofs that the verifier takes', async () => {
  const pair = await oauth.generateKeyPair('ES256', { extractable: true })
  const handle = oauth.DPoP({}, pair)
  const jkt = await handle.calculateThumbprint()
  // Bound to their key: a proof of ours cannot be made for it, so the token is asked for with theirs too.
  let token = ''
  let holder: Holder = {}
  const send: NonNullable<Parameters<typeof oauth.protectedResourceRequest>[5]>[typeof oauth.customFetch] = async (
    _url,
    { headers, method },
  ) => {
    holder = { dpop: { proofs: [new Headers(headers).get('dpop') ?? ''], method } }
    return new Response(null, { status: 200 })
  }
  const issue = { DPoP: handle, [oauth.customFetch]: send, [oauth.allowInsecureRequests]: true } as const
  await oauth.protectedResourceRequest('unused', 'POST', new URL(`${world.issuer}/token`), undefined, undefined, issue)
  const params = { requested_token_type: TYPE.access, resource: WAREHOUSE }
  const made = await granted(world.open(params, { DPoP: holder.dpop?.proofs[0] ?? '' }))
  token = made.token
  expect(made.claims.cnf).toEqual({ jkt })
  await oauth.protectedResourceRequest(token, 'POST', new URL(WAREHOUSE), undefined, undefined, issue)
  await expect(verifier.verify(token, holder)).resolves.toMatchObject({ clientId: 'orchestrator' })
})
