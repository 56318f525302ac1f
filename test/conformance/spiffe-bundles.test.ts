/**
 * Bundles of SPIFFE trust domains (SPIFFE Trust Domain and Bundle, SPIFFE Federation), over real HTTPS and from files: rotation,
 * withdrawal, going back, outage, lies and floods; and several domains at once, none of which knows the others.
 */
import { mkdtempSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { JWKS_BYTES_MAX, JWKS_KEYS_MAX } from '../../src/kernel/limits.ts'
import { FETCH_TIMEOUT_MS, JWKS_COOLDOWN_MS, JWKS_STALE_MS_MAX } from '../../src/kernel/outbound-limits.ts'
import { answerJson, startIssuer, type TestIssuer } from '../support/issuer.ts'
import { privateJwk, sign, testKey } from '../support/keys.ts'
import { aWhile } from '../support/patience.ts'
import { expectRefused, invalidClient, toStranger } from '../support/refusal.ts'
import { jwtAuthority, startTrustDomain, type TestTrustDomain } from '../support/trust-domain.ts'
import { type Answer, registryDocument, startWorld, type World } from '../support/world.ts'

type Members = Record<string, unknown>

const SVID = 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe'
const LATER = toStranger({ status: 503, error: 'temporarily_unavailable', reason: 'client_keys_unavailable' })
const WRONG_KEY = invalidClient('client_assertion_signature')
/** Of the test domains' bundles. */
const HINT_S = 60

let idp: TestIssuer
let one: TestTrustDomain
let two: TestTrustDomain
let world: World
let directory: string

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'errand-bundles-'))
  idp = await startIssuer({ slug: 'corp' })
  const now = () => world.now()
  // Both call their key by one name.
  one = await startTrustDomain('one.example', { now })
  two = await startTrustDomain('two.example', { now })
  world = await worldOf([one.entry, two.entry])
})
afterEach(async () => {
  await Promise.all([world.close(), one.close(), two.close()])
  await idp.close()
  rmSync(directory, { recursive: true, force: true })
})

/** The orchestrator is `/agent` of one.example, its twin that of two.example. */
function worldOf(trust_domains: readonly unknown[]): Promise<World> {
  const ids: Readonly<Record<string, string>> = { orchestrator: 'one.example', 'orchestrator-twin': 'two.example' }
  const names = trust_domains.map((entry) => (entry as { name: string }).name)
  const agents = (registryDocument(idp)['agents'] as Members[]).map((agent) => {
    const domain = ids[agent['client_id'] as string]
    const isBound = domain !== undefined && names.includes(domain)
    return isBound ? { ...agent, spiffe_ids: [{ id: `spiffe://${domain}/agent`, version: '1' }] } : agent
  })
  const metrics = { host: '127.0.0.1', port: 0, token: undefined }
  return startWorld({ issuer: idp, registry: { trust_domains, agents }, metrics })
}

/** Reads of bundles that were reported. */
const failures = async (): Promise<number> => {
  const found = /^errand_published_keys_failures_total\{of="trust_domain"\} (\d+)$/m
  return Number(found.exec((await world.broker.metrics?.text()) ?? '')?.[1] ?? 0)
}
const ask = (client_assertion: string): Promise<Answer> =>
  world.post('/token', {
    grant_type: 'client_credentials',
    resource: `${world.issuer}/api`,
    scope: 'sessions',
    client_assertion_type: SVID,
    client_assertion,
  })
const by = (domain: TestTrustDomain, header: Members = {}): string => domain.svid('/agent', world.issuer, {}, header)
const accepted = async (assertion: string): Promise<void> => {
  const { status, body } = await ask(assertion)
  expect(status, JSON.stringify(body)).toBe(200)
}
/** A read in the background has ended once the endpoint was asked that often and its answer was taken in. */
async function settled(domain: TestTrustDomain, requests: number): Promise<void> {
  await expect.poll(() => domain.countRequests()).toBe(requests)
  await aWhile(50)
}

describe('several domains (#41)', () => {
  test('each vouches for its own workloads, by keys of one name', async () => {
    await accepted(by(one))
    await accepted(by(two))
    expect([one.countRequests(), two.countRequests()]).toEqual([1, 1])
  })

  test('the key of one never verifies an SVID of the other, whatever its kid', async () => {
    await accepted(by(one))
    await accepted(by(two))
    for (const [key, of] of [
      [one.key, two],
      [two.key, one],
    ] as const) {
      const claims = { sub: of.id('/agent'), aud: world.issuer, exp: world.now() + 60 }
      const forged = (header: Members) => sign({ key, header, claims }).reveal()
      for (const kid of ['authority', key.kid, undefined]) {
        await expectRefused(world, () => ask(forged({ kid })), WRONG_KEY)
      }
    }
  })

  test('a bundle that also holds the keys of another domain vouches for its own workloads only', async () => {
    one.bundle = { keys: [jwtAuthority(one.key, 'authority'), jwtAuthority(two.key, 'theirs')] }
    const claims = (domain: TestTrustDomain) => ({ sub: domain.id('/agent'), aud: world.issuer, exp: world.now() + 60 })
    const header = { kid: 'theirs' }
    await accepted(sign({ key: two.key, header, claims: claims(one) }).reveal())
    await expectRefused(world, () => ask(sign({ key: one.key, header: {}, claims: claims(two) }).reveal()), WRONG_KEY)
    await expectRefused(world, () => ask(sign({ key: two.key, header, claims: claims(two) }).reveal()), WRONG_KEY)
  })

  test('where one is down or slow, the other works on, and the broker stays ready', async () => {
    const held: ServerResponse[] = []
    one.misbehave((_request, response) => void held.push(response))
    const waiting = ask(by(one))
    await expect.poll(() => held.length).toBe(1)
    await accepted(by(two))
    expect((await world.request('/readyz')).status).toBe(200)
    for (const response of held) response.destroy()
    expect((await waiting).status).toBe(503)
    await accepted(by(two))
  })
})

describe('a bundle', () => {
  test('is read once for all who ask at once (single flight), and kept', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(by(one))))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    await accepted(by(one))
    expect(one.countRequests()).toBe(1)
  })

  test('rotated, is believed as soon as its new key is named; the old one is refused from then on', async () => {
    await accepted(by(one))
    const old = sign({
      key: one.key,
      header: { kid: 'authority' },
      claims: { sub: one.id('/agent'), aud: world.issuer, exp: world.now() + 300 },
    }).reveal()
    const next = one.rotate()
    one.bundle = { ...one.bundle, keys: [jwtAuthority(next, 'next')] }
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    await accepted(by(one, { kid: 'next' }))
    await expectRefused(world, () => ask(old), WRONG_KEY)
  })

  test('is read again on the side when its refresh hint has passed, no sooner', async () => {
    await accepted(by(one))
    const old = by(one)
    one.rotate()
    await world.advance(HINT_S - 1)
    await accepted(old)
    expect(one.countRequests()).toBe(1)
    await world.advance(1)
    await accepted(old)
    await settled(one, 2)
    await expectRefused(world, () => ask(old), WRONG_KEY)
  })

  test('that nobody has asked for is read before it is believed again', async () => {
    await accepted(by(one))
    await world.advance(2 * HINT_S)
    const old = by(one)
    one.rotate()
    await expectRefused(world, () => ask(old), WRONG_KEY)
    await accepted(by(one))
  })

  test('a hint of 0, none, or one beyond reason: five minutes, and never more than half an hour', async () => {
    for (const [hint, seconds] of [
      [undefined, 300],
      [0, 300],
      [1, 10],
      [86_400, 1_800],
    ] as const) {
      const domain = await startTrustDomain('one.example', { now: () => world.now() })
      domain.bundle = { ...domain.bundle, spiffe_refresh_hint: hint }
      const before = world
      world = await worldOf([domain.entry])
      try {
        await accepted(by(domain))
        await world.advance(seconds - 1)
        await accepted(by(domain))
        expect([hint, domain.countRequests()]).toEqual([hint, 1])
        await world.advance(1)
        await accepted(by(domain))
        await settled(domain, 2)
      } finally {
        await world.close()
        await domain.close()
        world = before
      }
    }
  })

  test('#41 refreshed to no keys, or to none that can be used, refuses all its SVIDs at once', async () => {
    const full = one.bundle
    for (const [index, keys] of [
      [],
      [{ ...jwtAuthority(one.key, 'k'), use: 'other' }],
      [{ kty: 'future', use: 'jwt-svid' }],
    ].entries()) {
      const spiffe_sequence = 10 * (index + 1)
      one.bundle = { ...full, spiffe_sequence }
      await world.advance(2 * HINT_S)
      await accepted(by(one))
      one.bundle = { ...full, spiffe_sequence: spiffe_sequence + 1, keys }
      await world.advance(2 * HINT_S)
      await expectRefused(world, () => ask(by(one)), WRONG_KEY)
      expect(await failures()).toBe(index + 1)
    }
    await accepted(by(two))
  })

  test('#41 numbered lower than the last, or no longer, is not adopted: what it brings back stays out', async () => {
    const withdrawn = one.key
    one.bundle = { ...one.bundle, spiffe_sequence: 7 }
    const older = one.bundle
    await accepted(by(one))
    one.rotate()
    one.bundle = { ...one.bundle, spiffe_sequence: 8 }
    await world.advance(2 * HINT_S)
    await accepted(by(one))
    for (const bundle of [older, { ...older, spiffe_sequence: undefined }, { ...older, spiffe_sequence: 0 }]) {
      one.bundle = bundle
      await world.advance(2 * HINT_S)
      await accepted(by(one))
      const claims = { sub: one.id('/agent'), aud: world.issuer, exp: world.now() + 60 }
      const revived = sign({ key: withdrawn, header: { kid: 'authority' }, claims }).reveal()
      await expectRefused(world, () => ask(revived), WRONG_KEY)
    }
    expect(await failures()).toBe(3)
    // Not even when nothing else is left: it serves an hour, and then nobody.
    await world.advance(JWKS_STALE_MS_MAX / 1000)
    await expectRefused(world, () => ask(by(one)), LATER)
    one.bundle = { ...one.bundle, spiffe_sequence: 9, keys: [jwtAuthority(one.key, 'authority')] }
    await world.advance(1)
    await accepted(by(one))
  })

  test('that cannot be read serves up to the hard limit and not a second longer, then 503 for its domain alone', async () => {
    await accepted(by(one))
    one.misbehave((_request, response) => response.writeHead(500).end())
    await world.advance(JWKS_STALE_MS_MAX / 1000 - 1)
    await accepted(by(one))
    await world.advance(1)
    const { answer } = await expectRefused(world, () => ask(by(one)), LATER)
    expect(answer.headers.get('retry-after')).toBe('1')
    await accepted(by(two))
    one.misbehave(undefined)
    await world.advance(1)
    await accepted(by(one))
  })

  test('a flood of unknown kids costs one read per cool-down, and the known key keeps working', async () => {
    await accepted(by(one))
    await world.advance(JWKS_COOLDOWN_MS / 1000)
    const flood = Array.from({ length: 50 }, (_, index) => ask(by(one, { kid: `random-${index}` })))
    for (const answer of await Promise.all([...flood, ask(by(one, { kid: 'last' }))])) expect(answer.status).toBe(401)
    await accepted(by(one))
    expect(one.countRequests()).toBe(2)
  })

  test('an SVID of an unknown workload or domain costs no request at all', async () => {
    for (const sub of [one.id('/other'), 'spiffe://three.example/agent', one.id('')]) {
      const assertion = one.svid('/agent', world.issuer, { sub })
      await expectRefused(world, () => ask(assertion), invalidClient('client_unknown'))
    }
    const elsewhere = { iss: two.url, jku: two.url }
    await accepted(one.svid('/agent', world.issuer, elsewhere))
    expect([one.countRequests(), two.countRequests()]).toEqual([1, 0])
  })
})

describe('an endpoint that', () => {
  const lies: readonly (readonly [string, (response: ServerResponse) => unknown])[] = [
    ['redirects', (response) => response.writeHead(302, { location: two.url }).end()],
    ['answers 404', (response) => response.writeHead(404).end()],
    ['answers HTML', (response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    ['answers no object', (response) => answerJson(response, [])],
    ['answers without keys', (response) => answerJson(response, { spiffe_sequence: 1 })],
    ['answers keys that are no list', (response) => answerJson(response, { keys: {} })],
    ['answers a key that is no object', (response) => answerJson(response, { ...one.bundle, keys: ['x'] })],
    ['numbers in words', (response) => answerJson(response, { ...one.bundle, spiffe_sequence: '1' })],
    ['numbers below zero', (response) => answerJson(response, { ...one.bundle, spiffe_sequence: -1 })],
    ['hints in fractions', (response) => answerJson(response, { ...one.bundle, spiffe_refresh_hint: 0.5 })],
    [
      'repeats a member',
      (response) =>
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(`{"keys":[],${JSON.stringify(one.bundle).slice(1)}`),
    ],
    [
      'repeats a kid',
      (response) =>
        answerJson(response, { keys: [jwtAuthority(one.key, 'authority'), jwtAuthority(two.key, 'authority')] }),
    ],
    [
      'publishes a private key',
      (response) => answerJson(response, { keys: [{ ...privateJwk(one.key), use: 'jwt-svid', kid: 'authority' }] }),
    ],
    [
      'publishes a secret',
      (response) =>
        answerJson(response, {
          keys: [jwtAuthority(one.key, 'authority'), { kty: 'oct', k: 'AAAA', use: 'jwt-svid', kid: 's' }],
        }),
    ],
    [
      'publishes too many keys',
      (response) =>
        answerJson(response, {
          keys: Array.from({ length: JWKS_KEYS_MAX + 1 }, (_, n) => jwtAuthority(one.key, `k${n}`)),
        }),
    ],
    [
      'never ends',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' })
        response.write(`{"keys":[],"padding":"${'x'.repeat(JWKS_BYTES_MAX)}`)
      },
    ],
    [
      'breaks off',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '1000' })
        response.write('{"keys":')
        setTimeout(() => response.destroy(), 10)
      },
    ],
  ]

  test.each(lies)('%s vouches for nobody, and is not believed after an honest answer either', async (_, lie) => {
    one.misbehave((_request, response) => void lie(response))
    await expectRefused(world, () => ask(by(one)), LATER)
    one.misbehave(undefined)
    await world.advance(1)
    await accepted(by(one))
    one.misbehave((_request, response) => void lie(response))
    await world.advance(2 * HINT_S)
    await accepted(by(one))
  })

  test('hangs is given up', async () => {
    one.misbehave(() => undefined)
    const started = performance.now()
    await expectRefused(world, () => ask(by(one)), LATER)
    expect(performance.now() - started).toBeLessThan(FETCH_TIMEOUT_MS + 2_000)
    await expectRefused(world, () => ask(by(one)), LATER)
    expect(one.countRequests()).toBe(1)
  })

  test('has a certificate of no known authority, or of another name, is not asked', async () => {
    const { name, url, caFile } = one
    const byName = url.replace('127.0.0.1', 'localhost.')
    const wrong = [{ url }, { url: byName, ca_file: caFile }, { url, ca_file: join(directory, 'absent.pem') }]
    for (const bundle_endpoint of wrong) {
      const before = world
      world = await worldOf([{ name, bundle_endpoint }])
      try {
        await expectRefused(world, () => ask(by(one)), LATER)
      } finally {
        await world.close()
        world = before
      }
    }
    expect(one.countRequests()).toBe(0)
  })
})

describe('a bundle file', () => {
  const write = (document: unknown): string => {
    const path = join(directory, 'bundle.json')
    writeFileSync(`${path}.new`, typeof document === 'string' ? document : JSON.stringify(document))
    renameSync(`${path}.new`, path)
    return path
  }
  const read = async (document: unknown): Promise<void> => {
    await world.close()
    world = await worldOf([{ name: 'one.example', bundle_file: write(document) }, two.entry])
  }

  test('is read again when it changes, within a second of use', async () => {
    await read(one.bundle)
    await accepted(by(one))
    const old = by(one)
    one.rotate()
    write(one.bundle)
    await world.advance(2)
    await expectRefused(world, () => ask(old), WRONG_KEY)
    await accepted(by(one))
    expect(one.countRequests()).toBe(0)
  })

  test('#41 emptied, refuses; broken or gone, serves to the hard limit', async () => {
    await read(one.bundle)
    await accepted(by(one))
    for (const broken of ['', '{', '{"keys":[],"keys":[]}', ' '.repeat(JWKS_BYTES_MAX + 1)]) {
      write(broken)
      await world.advance(2)
      await accepted(by(one))
    }
    unlinkSync(join(directory, 'bundle.json'))
    await world.advance(JWKS_STALE_MS_MAX / 1000 - 10)
    await accepted(by(one))
    await world.advance(10)
    await expectRefused(world, () => ask(by(one)), LATER)
    write({ ...one.bundle, spiffe_sequence: 2, keys: [] })
    await world.advance(1)
    await expectRefused(world, () => ask(by(one)), WRONG_KEY)
    await accepted(by(two))
  })

  test('of another domain vouches for nobody here', async () => {
    await read({ keys: [jwtAuthority(testKey('elsewhere'), 'authority')] })
    await expectRefused(world, () => ask(by(one)), WRONG_KEY)
  })
})
