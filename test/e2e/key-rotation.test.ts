/**
 * Rotation without one failed verification (H68): a key is published longer than verifiers may cache `/jwks` before it signs,
 * and kept until the last token it signed has expired. Hours pass here in seconds: the broker and its verifiers share one
 * clock, set by hand. Then the same on real processes, under real load.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createRemoteJWKSet, customFetch, errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import * as oauth from 'oauth4webapi'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { INTERNAL_PUBLISH_SECONDS, PUBLISH_SECONDS, rotate } from '../../src/keys/key-files.ts'
import type { KeyAlgorithm, KeyClass } from '../../src/keys/ring-view.ts'
import { startFleet, until } from '../support/broker-process.ts'
import { startRedis } from '../support/redis.ts'
import {
  type Answer,
  CALENDAR,
  claimsOf,
  headerOf,
  INTENT,
  ManualClock,
  startWorld,
  WAREHOUSE,
  type World,
} from '../support/world.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  vi.useRealTimers()
  for (const close of closing.splice(0).reverse()) await close()
})

const TEN_MINUTES_MS = 600_000
const STEP_S = 30
const DETAILS = JSON.stringify([...INTENT, { type: 'mcp_tools', locations: [CALENDAR], tools: { list_events: {} } }])
const kidOf = (token: string) => String(headerOf(token)['kid'])

interface Verifier {
  readonly name: string
  /** Virtual seconds after the start at which it first reads `/jwks`. */
  readonly from: number
  verify(token: string, resource: string): Promise<unknown>
}

/** jose as documented: ten minutes' cache, and one look again, at most every 30 s, for a key it does not know. */
function stock(world: World, from: number): Verifier {
  return joseVerifier(world, `stock, from ${from}`, from, {})
}

/** The worst there is: what it has cached it believes to the end, whatever key it meets. */
function stubborn(world: World, from: number): Verifier {
  return joseVerifier(world, `stubborn, from ${from}`, from, { cooldownDuration: TEN_MINUTES_MS })
}

function joseVerifier(world: World, name: string, from: number, options: { cooldownDuration?: number }): Verifier {
  const fetched = (_url: string, init: RequestInit) =>
    world.broker.app.request('/jwks', { method: init.method ?? 'GET' })
  const keys: JWTVerifyGetKey = createRemoteJWKSet(new URL(`${world.issuer}/jwks`), {
    cacheMaxAge: TEN_MINUTES_MS,
    [customFetch]: async (url, init) => fetched(url, init as RequestInit),
    ...options,
  })
  const verify = (token: string, audience: string) =>
    jwtVerify(token, keys, { issuer: world.issuer, audience, typ: 'at+jwt' })
  return { name, from, verify }
}

function oauth4webapi(world: World, from: number): Verifier {
  const metadata = { issuer: world.issuer, jwks_uri: `${world.issuer}/jwks` }
  const options = {
    [oauth.customFetch]: async () => world.broker.app.request('/jwks'),
    [oauth.allowInsecureRequests]: true,
  }
  const verify = (token: string, audience: string) => {
    const request = new Request(audience, { headers: { authorization: `Bearer ${token}` } })
    return oauth.validateJwtAccessToken(metadata, request, audience, options)
  }
  return { name: `oauth4webapi, from ${from}`, from, verify }
}

/** Broker and verifiers on one clock that only the test moves. */
async function startVirtual(): Promise<{ world: World; advance(seconds: number): void }> {
  const world = await startWorld({ settings: { accessTokenSeconds: 300 } })
  closing.push(() => world.close())
  const { clock } = world
  if (!(clock instanceof ManualClock)) throw new Error('this world runs on the real clock')
  vi.useFakeTimers({ toFake: ['Date'], now: clock.nowMs() })
  const advance = (seconds: number) => {
    clock.advance(seconds)
    vi.setSystemTime(clock.nowMs())
    // The feed confirms by real time: here it has looked in between.
    world.broker.cutoffs.confirmed(world.broker.cutoffs.rv, clock.nowMs())
  }
  return { world, advance }
}

async function rotateIn(world: World, cls: KeyClass, alg: KeyAlgorithm, publishSeconds?: number): Promise<string> {
  const { keys, development } = world.config
  const more = publishSeconds === undefined ? {} : { publishSeconds }
  const { kid } = await rotate(keys.directory, { class: cls, alg, now: world.now(), development, ...more })
  return kid
}

async function issue(world: World): Promise<readonly { token: string; resource: string }[]> {
  const opened = await world.open({ authorization_details: DETAILS })
  expect(opened.status, JSON.stringify(opened.body)).toBe(200)
  return Promise.all(
    [WAREHOUSE, CALENDAR].map(async (resource) => {
      const answer = await world.continue(opened.body.access_token, { resource })
      expect(answer.status, JSON.stringify(answer.body)).toBe(200)
      return { token: answer.body.access_token, resource }
    }),
  )
}

describe('hours of issuing while every key is rotated', () => {
  test('no token fails at a client that caches /jwks for ten minutes, ES256 and RS256 alike (H68)', async () => {
    const { world, advance } = await startVirtual()
    const begun = world.now()
    const phases = [0, 150, 310, 470, 630]
    const verifiers = phases.flatMap((from) => [stock(world, from), stubborn(world, from), oauth4webapi(world, from)])
    const rotations: Readonly<Record<number, readonly [KeyClass, KeyAlgorithm]>> = {
      600: ['access', 'ES256'],
      840: ['access', 'RS256'],
      1200: ['internal', 'ES256'],
      1500: ['access', 'ES256'],
      3600: ['access', 'RS256'],
      3900: ['access', 'ES256'],
    }
    const signers = new Set<string>()
    let alive: { token: string; resource: string }[] = []
    let verified = 0
    const failures: string[] = []
    const verifyAll = async (elapsed: number, tokens: typeof alive) => {
      for (const { token, resource } of tokens) {
        for (const verifier of verifiers.filter(({ from }) => from <= elapsed)) {
          await verifier.verify(token, resource).then(
            () => (verified += 1),
            (error: unknown) => failures.push(`${verifier.name} at ${elapsed} s: ${String(error)}`),
          )
        }
      }
    }
    for (let elapsed = 0; elapsed <= 6_000; elapsed += STEP_S) {
      // A broker finds a new file within two seconds.
      await world.broker.reloadKeys()
      const fresh = await issue(world)
      for (const { token } of fresh) signers.add(kidOf(token))
      const ending = alive.filter(({ token }) => Number(claimsOf(token)['exp']) - world.now() <= STEP_S)
      alive = [...alive.filter((one) => !ending.includes(one)), ...fresh]
      await verifyAll(elapsed, [...fresh, ...ending])
      const due = rotations[elapsed]
      if (due !== undefined) await rotateIn(world, ...due)
      advance(STEP_S)
    }
    expect(world.now() - begun).toBe(6_030)
    expect(failures).toEqual([])
    expect(verified).toBeGreaterThan(10_000)
    // Three ES256 rotations and two of RS256 took effect while tokens were issued.
    expect(signers.size).toBe(2 + 5)
    expect(PUBLISH_SECONDS).toBeGreaterThan(TEN_MINUTES_MS / 1000)
  })

  test('a key that signed before it was published that long would have failed there: the measure can tell', async () => {
    const { world, advance } = await startVirtual()
    const [first] = await issue(world)
    const verifier = stubborn(world, 0)
    await verifier.verify(first?.token ?? '', WAREHOUSE)
    await rotateIn(world, 'access', 'ES256', 120)
    await world.broker.reloadKeys()
    advance(150)
    const [second] = await issue(world)
    await expect(verifier.verify(second?.token ?? '', WAREHOUSE)).rejects.toThrow(errors.JWKSNoMatchingKey)
    advance(TEN_MINUTES_MS / 1000)
    const [third] = await issue(world)
    await verifier.verify(third?.token ?? '', WAREHOUSE)
  })
})

/** What a busy machine keeps waiting is no matter of keys, and asked again. */
async function calm(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await ask()
    if (answer.status !== 503 || answer.body.error_reason === 'keys_not_ready') return answer
  }
}

test('on two real brokers under load, one told by SIGHUP and one by nobody, a rotation fails no request', async () => {
  const redis = await startRedis()
  closing.push(() => redis.stop())
  const fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url } }))
  closing.push(() => fleet.close())
  const [a, b] = [await fleet.start(), await fleet.start()]
  const { session } = await a.opened()
  const failures: unknown[] = []
  const signers = { session: new Set<string>(), access: new Set<string>() }
  let answered = 0
  let running = true
  const load = Array.from({ length: 6 }, async (_, worker) => {
    for (let round = worker; running; round += 1) {
      const [one, other] = round % 2 === 0 ? [a, b] : [b, a]
      const opened = await calm(() => one.open())
      // What one has signed, the other verifies at once; and the first session's token is of the first key to the end.
      const continued = await calm(() => other.continue(opened.body.access_token))
      const answers = [opened, continued, await calm(() => other.continue(session))]
      const introspected = await calm(() => one.introspect(continued.body.access_token))
      for (const answer of [...answers, introspected]) {
        if (answer.status !== 200 || answer.body.active === false) failures.push(answer.body)
        else answered += 1
      }
      if (opened.status !== 200) continue
      signers.session.add(kidOf(opened.body.access_token))
      signers.access.add(kidOf(continued.body.access_token))
    }
  })
  await sleep(500)
  const now = Math.floor(Date.now() / 1000)
  const request = { now, development: true, alg: 'ES256', publishSeconds: 5 } as const
  const rotated = [
    await rotate(fleet.keysDirectory, { ...request, class: 'internal' }),
    await rotate(fleet.keysDirectory, { ...request, class: 'access' }),
  ]
  a.reload()
  const haveAll = () => Object.values(signers).every(({ size }) => size === 2) && answered > 200
  await until(async () => haveAll() || failures.length > 0)
  // For as long again as it takes a broker to look at its files.
  await sleep(2_000)
  running = false
  await Promise.all(load)
  expect(failures).toEqual([])
  console.log(`${answered} answers during a rotation on two brokers, none refused`)
  expect(answered).toBeGreaterThan(200)
  expect([signers.session.size, signers.access.size]).toEqual([2, 2])
  expect(signers.session).toContain(rotated[0]?.kid)
  expect(signers.access).toContain(rotated[1]?.kid)
  expect(INTERNAL_PUBLISH_SECONDS).toBeGreaterThan(5)
})
