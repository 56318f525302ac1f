import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import * as callers from '../../../src/admin/callers.ts'
import { operatorCaller as callerOf } from '../../../src/admin/operator-caller.ts'
import type { ControlEntry } from '../../../src/authority/cutoffs.ts'
import { operatorPrincipal } from '../../../src/kernel/ids.ts'
import { FOREIGN_EVIDENCE_MARGIN_S } from '../../../src/kernel/limits.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import type { KeyRing } from '../../../src/keys/key-ring.ts'
import type { RequestFacts } from '../../../src/model/request-facts.ts'
import { createGuardedFetch } from '../../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../../src/net/issuer-keys.ts'
import { decodeRegistry } from '../../../src/registry/load-registry.ts'
import { LiveCutoffs } from '../../../src/sessions/live-cutoffs.ts'
import { Minter } from '../../../src/tokens/minter.ts'
import { startIssuer, type TestIssuer } from '../../support/issuer.ts'
import { registryDocument } from '../../support/world.ts'
import type { Raw } from '../flows/fixtures.ts'
import { ALICE, HandClock, ISSUER, NOW, reasonOf } from '../sessions/fixtures.ts'
import { apiOrder, order, SETTINGS, testRing } from '../tokens/fixtures.ts'

type CallerParts = callers.CallerParts

/** As bearer tokens: what a proof changes is tested on the wire. */
const asBearer = (token: Secret | undefined) =>
  token && ({ token, scheme: 'bearer', method: 'GET', url: `${ISSUER}/sessions`, facts: {} as RequestFacts } as const)
const operatorCaller = (token: Secret | undefined, at: CallerParts) => callerOf(asBearer(token), at, 'read')
const sessionsCaller = (token: Secret | undefined, at: CallerParts) => callers.sessionsCaller(asBearer(token), at)
const readingCaller = (token: Secret | undefined, at: CallerParts) => callers.readingCaller(asBearer(token), at)

let idp: TestIssuer
let ring: KeyRing
let minter: Minter
beforeAll(async () => {
  idp = await startIssuer({ slug: 'corp' })
  ring = await testRing()
  minter = new Minter(ring, SETTINGS)
})
afterAll(() => idp.close())

let clock: HandClock
let parts: CallerParts
beforeEach(() => {
  clock = new HandClock()
  const cutoffs = new LiveCutoffs(clock)
  cutoffs.confirmed(40, clock.ms)
  parts = partsWith(cutoffs)
})

function partsWith(cutoffs: LiveCutoffs, change: (document: Raw) => void = () => undefined): CallerParts {
  const document: Raw = structuredClone(registryDocument(idp))
  change(document)
  const registry = decodeRegistry(document, 'world.yaml', { issuer: ISSUER })
  const keys = new IssuerKeys({ fetchJson: createGuardedFetch({ allowLoopback: true }), clock })
  const claims = { claim: () => Promise.resolve(true) }
  const about = { issuer: ISSUER, environment: 'development', nonces: undefined }
  return { registries: { current: registry }, ring, keys, ...about, cutoffs, clock, claims, admins: [] }
}

const cut = (entry: object) =>
  parts.cutoffs.written(42, [{ seq: 42, atMs: NOW * 1000, expiresAtMs: (NOW + 9999) * 1000, ...entry } as ControlEntry])

const api = async (over: Parameters<typeof apiOrder>[0] = {}) => (await minter.api(apiOrder(over))).token
const userToken = (claims: object = {}) =>
  idp.sign({ sub: 'alice', aud: 'errand-users', iat: NOW - 5, exp: NOW + 600, auth_time: NOW - 10, ...claims })
const management = async () =>
  (await minter.management({ operator: operatorPrincipal('ops'), roles: ['viewer'], now: NOW, expiresAt: NOW + 600 }))
    .token

describe('a caller of the sessions', () => {
  test('is a client with the scope for it', async () => {
    expect(await sessionsCaller(await api(), parts)).toMatchObject({
      kind: 'client',
      principal: 'agent:orchestrator',
      client: { clientId: 'orchestrator' },
    })
  })

  test('is a user with a token for this broker', async () => {
    expect(await sessionsCaller(userToken(), parts)).toEqual({ kind: 'user', principal: ALICE })
  })

  test('is nobody without a bearer, or with one for something else', async () => {
    expect(await reasonOf(sessionsCaller(undefined, parts))).toBe('bearer_missing')
    for (const token of [
      new Secret('a.b.c'),
      await management(),
      (await minter.session(order({ audience: ISSUER }))).token,
      (await minter.access(order(), 'ES256')).token,
      userToken({ aud: 'orchestrator-at-idp' }),
    ]) {
      expect(await reasonOf(sessionsCaller(token, parts))).toBe('bearer_invalid')
    }
  })

  test('without the scope is refused, though well known', async () => {
    expect(await reasonOf(sessionsCaller(await api({ scopes: ['revocations'] }), parts))).toBe('bearer_scope')
  })

  test.each([
    ['a cut-off of the agent', { entry: 'cutoff', dimension: 'agent', id: 'orchestrator' }],
    ['a cut-off of the token', 'jti'],
    ['a block of the agent', { entry: 'block', kind: 'agent', id: 'orchestrator', expiresAtMs: null }],
  ] as const)('is refused by %s, with the token from before', async (_what, entry) => {
    const minted = await minter.api(apiOrder())
    await sessionsCaller(minted.token, parts)
    cut(entry === 'jti' ? { entry: 'cutoff', dimension: 'node', id: minted.jti } : entry)
    expect(await reasonOf(sessionsCaller(minted.token, parts))).toBe('bearer_invalid')
  })

  test('by a cut-off of somebody else is not concerned', async () => {
    cut({ entry: 'cutoff', dimension: 'agent', id: 'researcher' })
    await expect(sessionsCaller(await api(), parts)).resolves.toMatchObject({ kind: 'client' })
  })

  test('a token from after a cut-off is good again', async () => {
    cut({ entry: 'cutoff', dimension: 'agent', id: 'orchestrator' })
    await expect(sessionsCaller(await api({ rv: 42 }), parts)).resolves.toMatchObject({ kind: 'client' })
  })

  test('a user who was cut off must sign in again, later than that and a margin', async () => {
    cut({ entry: 'cutoff', dimension: 'user', id: ALICE })
    expect(await reasonOf(sessionsCaller(userToken(), parts))).toBe('bearer_invalid')
    const fresh = NOW + FOREIGN_EVIDENCE_MARGIN_S + 1
    clock.ms = fresh * 1000
    const signedIn = userToken({ iat: fresh, auth_time: fresh, exp: fresh + 60 })
    await expect(sessionsCaller(signedIn, parts)).resolves.toMatchObject({ kind: 'user' })
  })

  test('a user who is blocked is not heard, however fresh the sign-in', async () => {
    cut({ entry: 'block', kind: 'user', id: ALICE, expiresAtMs: null })
    expect(await reasonOf(sessionsCaller(userToken({ auth_time: NOW }), parts))).toBe('bearer_invalid')
  })

  test('a user who revoked one agent is still heard', async () => {
    cut({ entry: 'block', kind: 'pair', id: `${ALICE}|orchestrator`, expiresAtMs: null })
    await expect(sessionsCaller(userToken(), parts)).resolves.toMatchObject({ kind: 'user' })
  })

  test.each(['suspended', 'retired'])('a client that is %s is not heard', async (state) => {
    const changed = partsWith(parts.cutoffs, (document) => {
      document.agents[0].state = state
    })
    expect(await reasonOf(sessionsCaller(await api(), changed))).toBe('bearer_invalid')
  })
})

describe('being certain', () => {
  test('who reads is shown nothing by a broker that is not certain of the revocations', async () => {
    const token = await api()
    await expect(readingCaller(token, parts)).resolves.toMatchObject({ kind: 'client' })
    clock.ms += 2_001
    expect(await reasonOf(async () => readingCaller(token, parts))).toBe('cutoffs_stale')
  })

  test('who ends something is not held up', async () => {
    const token = await api()
    clock.ms += 2_001
    await expect(sessionsCaller(token, parts)).resolves.toMatchObject({ kind: 'client' })
  })
})

describe('an operator', () => {
  test('comes with a management token', async () => {
    expect(await operatorCaller(await management(), parts)).toEqual({
      kind: 'operator',
      principal: 'operator:ops',
      roles: ['viewer'],
    })
  })

  test('comes with nothing else', async () => {
    expect(await reasonOf(operatorCaller(undefined, parts))).toBe('bearer_missing')
    for (const token of [await api(), userToken(), (await minter.session(order({ audience: ISSUER }))).token]) {
      expect(await reasonOf(operatorCaller(token, parts))).toBe('bearer_invalid')
    }
  })

  test('is gone when the token’s minutes are over', async () => {
    const token = await management()
    clock.ms = (NOW + 600) * 1000
    expect(await reasonOf(operatorCaller(token, parts))).toBe('bearer_invalid')
  })
})
