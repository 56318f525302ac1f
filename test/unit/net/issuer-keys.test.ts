import { randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { KeySet } from '../../../src/jose/key-set.ts'
import { JWKS_BYTES_MAX, JWKS_KEYS_MAX } from '../../../src/kernel/limits.ts'
import {
  FETCH_TIMEOUT_MS,
  JWKS_COOLDOWN_MS,
  JWKS_FRESH_MS,
  JWKS_RETRY_MS,
  JWKS_STALE_MS_MAX,
  JWKS_WAITING_MAX,
} from '../../../src/kernel/outbound-limits.ts'
import { Rejection } from '../../../src/kernel/rejection.ts'
import { createGuardedFetch } from '../../../src/net/guarded-fetch.ts'
import { IssuerKeys } from '../../../src/net/issuer-keys.ts'
import { answerJson, startIssuer, type TestIssuer } from '../../support/issuer.ts'
import { privateJwk, publicJwk, testKey } from '../../support/keys.ts'
import { aWhile } from '../../support/patience.ts'

let issuer: TestIssuer
let nowMs: number
let failures: unknown[]
let keys: IssuerKeys

beforeEach(async () => {
  issuer = await startIssuer()
  nowMs = 1_800_000_000_000
  failures = []
  keys = new IssuerKeys({
    fetchJson: createGuardedFetch({ allowLoopback: true }),
    clock: { nowMs: () => nowMs },
    onFailure: (_issuer, error) => failures.push(error),
  })
})
afterEach(() => issuer.close())

const find = (kid: string | undefined) => keys.keysFor(issuer.record, { kid, alg: 'ES256' })
const has = (set: KeySet, kid: string) => set.select(kid, 'ES256') !== undefined
/** Background work has ended once the server has answered that many requests and the answer was read. */
async function settled(requests: number): Promise<void> {
  while (issuer.countRequests() < requests) await new Promise((resolve) => setTimeout(resolve, 5))
  await aWhile(30)
}

async function refused(attempt: Promise<unknown>): Promise<Rejection> {
  const error = await attempt.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(Rejection)
  return error as Rejection
}

describe("an issuer's keys", () => {
  it('are fetched once, however many ask at the same time, and then kept', async () => {
    const sets = await Promise.all(Array.from({ length: 50 }, () => find('idp-1')))
    expect(sets.every((set) => has(set, 'idp-1'))).toBe(true)
    await find('idp-1')
    expect(issuer.countRequests()).toBe(1)
  })

  it('are refreshed in the background once they are no longer fresh, without anyone waiting', async () => {
    await find('idp-1')
    nowMs += JWKS_FRESH_MS - 1
    await find('idp-1')
    expect(issuer.countRequests()).toBe(1)
    nowMs += 1
    issuer.misbehave(() => undefined) // never answers: a waiting caller would time out
    const startedMs = performance.now()
    expect(has(await find('idp-1'), 'idp-1')).toBe(true)
    expect(performance.now() - startedMs).toBeLessThan(FETCH_TIMEOUT_MS - 500)
    await settled(2)
    await find('idp-1')
    expect(issuer.countRequests()).toBe(2)
  })

  it('drop a key that the issuer has withdrawn, by the background refresh', async () => {
    await find('idp-1')
    issuer.rotate()
    nowMs += JWKS_FRESH_MS
    await find('idp-1')
    await settled(2)
    const set = await find('idp-2')
    expect([has(set, 'idp-1'), has(set, 'idp-2')]).toEqual([false, true])
    expect(issuer.countRequests()).toBe(2)
  })

  it('include a new key as soon as a token names it (rotation)', async () => {
    await find('idp-1')
    nowMs += JWKS_COOLDOWN_MS
    issuer.rotate()
    expect(has(await find('idp-2'), 'idp-2')).toBe(true)
    expect(issuer.countRequests()).toBe(2)
  })

  it('cost one fetch per cool-down under a flood of unknown key ids, which does not hide a rotation', async () => {
    await find('idp-1')
    for (let second = 1; second <= 30; second += 1) {
      nowMs += 1_000
      await Promise.all(Array.from({ length: 40 }, () => find(randomUUID())))
    }
    expect(issuer.countRequests()).toBe(1 + 30_000 / JWKS_COOLDOWN_MS)
    issuer.rotate()
    nowMs += JWKS_COOLDOWN_MS
    await find(randomUUID())
    expect(has(await find('idp-2'), 'idp-2')).toBe(true)
  })

  it('serve from the last good answer while the issuer fails, until the hard bound', async () => {
    await find('idp-1')
    issuer.misbehave((_request, response) => response.writeHead(500).end())
    nowMs += JWKS_STALE_MS_MAX - 1
    expect(has(await find('idp-1'), 'idp-1')).toBe(true)
    await settled(2)
    for (let round = 0; round < 10; round += 1) expect(has(await find('idp-1'), 'idp-1')).toBe(true)
    expect(has(await find('unknown'), 'idp-1')).toBe(true)
    await settled(2)
    expect([issuer.countRequests(), failures.length]).toEqual([2, 1])
    nowMs += 1
    const refusal = await refused(find('idp-1'))
    expect(refusal.reason).toBe('subject_issuer_unavailable')
    expect(refusal.retryAfterSeconds).toBe(1)
    issuer.misbehave(undefined)
    nowMs += JWKS_RETRY_MS
    expect(has(await find('idp-1'), 'idp-1')).toBe(true)
  })

  it('do not live longer because the clock was set back', async () => {
    await find('idp-1')
    nowMs -= 3_600_000
    issuer.rotate()
    expect(has(await find('idp-1'), 'idp-1')).toBe(false)
    expect(issuer.countRequests()).toBe(2)
  })

  it.each([
    ['answers 500', (_request, response) => response.writeHead(500).end()],
    ['answers HTML', (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    ['redirects', (_request, response) => response.writeHead(302, { location: '/elsewhere' }).end()],
    ['answers no key set', (_request, response) => answerJson(response, { issuer: 'x' })],
    [
      'answers too many bytes',
      (_request, response) => answerJson(response, { keys: [], pad: 'x'.repeat(JWKS_BYTES_MAX) }),
    ],
    [
      'answers too many keys',
      (_request, response) =>
        answerJson(response, { keys: Array.from({ length: JWKS_KEYS_MAX + 1 }, () => ({ kty: 'EC' })) }),
    ],
    [
      'publishes a private key',
      (_request, response) =>
        answerJson(response, { keys: [publicJwk(testKey('idp-1')), privateJwk(testKey('leak'))] }),
    ],
    [
      'publishes two keys under one kid',
      (_request, response) =>
        answerJson(response, { keys: [publicJwk(testKey('idp-1')), { ...publicJwk(testKey('b')), kid: 'idp-1' }] }),
    ],
    ['breaks the connection', (request) => request.socket.destroy()],
  ] satisfies [
    string,
    Parameters<TestIssuer['misbehave']>[0],
  ][])('are unavailable when the issuer %s, asked again only after a pause, and fine once it recovers', async (_name, answer) => {
    issuer.misbehave(answer)
    expect((await refused(find('idp-1'))).reason).toBe('subject_issuer_unavailable')
    expect((await refused(find('idp-1'))).reason).toBe('subject_issuer_unavailable')
    expect(issuer.countRequests()).toBe(1)
    expect(failures).toHaveLength(1)
    issuer.misbehave(undefined)
    nowMs += JWKS_RETRY_MS
    expect(has(await find('idp-1'), 'idp-1')).toBe(true)
  })

  it('are withdrawn all at once by an empty key set', async () => {
    await find('idp-1')
    issuer.misbehave((_request, response) => answerJson(response, { keys: [] }))
    nowMs += JWKS_FRESH_MS
    await find('idp-1')
    await settled(2)
    expect((await find('idp-1')).size).toBe(0)
  })

  it('let only so many wait for an issuer that hangs: the others are refused at once, and its known keys still serve', async () => {
    await find('idp-1')
    issuer.misbehave(() => undefined)
    nowMs += JWKS_COOLDOWN_MS
    const waiting = Array.from({ length: JWKS_WAITING_MAX }, () => find('unknown'))
    const begunMs = performance.now()
    expect(has(await find('unknown'), 'unknown')).toBe(false)
    expect(has(await find('idp-1'), 'idp-1')).toBe(true)
    expect(performance.now() - begunMs).toBeLessThan(FETCH_TIMEOUT_MS - 500)
    issuer.misbehave(undefined)
    await Promise.all(waiting)
    nowMs += JWKS_COOLDOWN_MS
    issuer.rotate()
    expect(has(await find('idp-2'), 'idp-2')).toBe(true)
  })

  it('keep issuers apart: one that hangs does not delay another, nor lend it a key', async () => {
    const other = await startIssuer({ slug: 'other' })
    try {
      issuer.misbehave(() => undefined)
      const hanging = refused(find('idp-1'))
      const set = await keys.keysFor(other.record, { kid: 'other-1', alg: 'ES256' })
      expect([has(set, 'other-1'), has(set, 'idp-1')]).toEqual([true, false])
      expect((await hanging).reason).toBe('subject_issuer_unavailable')
    } finally {
      await other.close()
    }
  })

  it('are read afresh when the registry entry points elsewhere or allows other algorithms', async () => {
    await find('idp-1')
    await keys.keysFor({ ...issuer.record, jwksUri: `${issuer.url}/other` }, { kid: 'idp-1', alg: 'ES256' })
    expect(issuer.countRequests()).toBe(2)
    const none = await keys.keysFor({ ...issuer.record, algorithms: ['RS256'] }, { kid: undefined, alg: 'RS256' })
    expect(none.size).toBe(0)
  })
})
