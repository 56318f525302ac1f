/**
 * Several machines on one ring: each has the private files mounted, the store tells them of each other's keys. A broker that
 * lacks a file says so and is not ready before that key signs; and the store cannot give anybody a key to trust (H68).
 */
import { generateKeyPairSync } from 'node:crypto'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { publicMembers, thumbprint } from '../../src/jose/jwk.ts'
import { type SigningKey, signJwt } from '../../src/jose/sign-jwt.ts'
import { loadKeys, rotate } from '../../src/keys/key-files.ts'
import { KeyRing } from '../../src/keys/key-ring.ts'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { whenReady } from '../support/patience.ts'
import { type RunningRedis, startRedis } from '../support/redis.ts'
import { headerOf } from '../support/world.ts'

const DOCUMENT = '{control}:default:document:ring'

let redis: RunningRedis
let store: Redis
let fleet: Fleet
let directory: string
let a: BrokerProcess
let b: BrokerProcess
let keysOfB: string

beforeEach(async () => {
  redis = await startRedis()
  store = new Redis(redis.url)
  fleet = await startFleet(() => ({ store: { kind: 'redis', url: redis.url } }))
  directory = mkdtempSync(join(tmpdir(), 'errand-machines-'))
  keysOfB = join(directory, 'b')
  a = await fleet.start()
  cpSync(fleet.keysDirectory, keysOfB, { recursive: true })
  b = await fleet.start({ keysDirectory: keysOfB })
})
afterEach(async () => {
  await fleet?.close()
  await store?.quit()
  await redis?.stop()
  rmSync(directory, { recursive: true, force: true })
})

const nowS = () => Math.floor(Date.now() / 1000)
const kidOf = (token: string) => String(headerOf(token)['kid'])

async function published(at: BrokerProcess): Promise<readonly string[]> {
  return (await at.request('/jwks')).body.keys.map(({ kid }: { kid: string }) => kid)
}

async function keysCheck(at: BrokerProcess): Promise<string> {
  return (await at.request('/readyz')).body.checks.keys
}

function rotated(cls: 'access' | 'internal', publishSeconds: number) {
  return rotate(fleet.keysDirectory, { class: cls, alg: 'ES256', now: nowS(), development: true, publishSeconds })
}

const copyFiles = () => cpSync(fleet.keysDirectory, keysOfB, { recursive: true })

describe('a key that one machine has and the other not', () => {
  test('is published by both at once; the one without its file is not ready before it signs, says which, and mends by itself', async () => {
    const { kid: later } = await rotated('access', 600)
    await until(async () => (await published(a)).includes(later) && (await published(b)).includes(later))
    expect(await keysCheck(b)).toBe('ok')

    const { kid, activateAt } = await rotated('internal', 12)
    await until(async () => (await b.request('/readyz')).status === 503)
    expect(await keysCheck(b)).toBe(`the file of internal key ${kid} is not in the key directory here`)
    expect(await keysCheck(a)).toBe('ok')
    // Until it signs, nobody is refused.
    const before = (await a.opened()).session
    expect((await whenReady(() => b.continue(before))).status).toBe(200)

    await until(async () => nowS() > activateAt)
    const { session } = await a.opened()
    expect(kidOf(session)).toBe(kid)
    expect((await whenReady(() => b.continue(session))).status).toBe(400)
    // Not with the old one: its tokens could outlive it.
    expect((await b.open()).body.error_reason).toBe('keys_not_ready')

    copyFiles()
    await until(async () => (await b.request('/readyz')).status === 200)
    expect((await whenReady(() => b.continue(session))).status).toBe(200)
    expect(kidOf((await b.opened()).session)).toBe(kid)
  })

  test('a token it signed is introspected by the other, from what was announced', async () => {
    const { kid, activateAt } = await rotated('access', 4)
    await until(async () => (await published(b)).includes(kid))
    await until(async () => nowS() > activateAt)
    const { session } = await a.opened()
    const access = (await whenReady(() => a.continue(session))).body.access_token
    expect(kidOf(access)).toBe(kid)
    expect((await whenReady(() => b.introspect(access))).body.active).toBe(true)
  })
})

/** What somebody who can write to the store would like every broker to publish. */
async function announcementBy(signer: SigningKey, over: Readonly<Record<string, unknown>> = {}) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const members = publicMembers(privateKey.export({ format: 'jwk' }))
  const kid = thumbprint(members)
  const text = await signJwt(signer, 'errand-key+jwt', {
    iss: fleet.issuer,
    class: 'access',
    alg: 'ES256',
    kid,
    activate_at: nowS() - 10,
    created_at: nowS() - 10,
    jwk: { ...members, kid, alg: 'ES256', use: 'sig' },
    ...over,
  })
  return { kid, text }
}

async function inject(...texts: readonly string[]): Promise<void> {
  const known = JSON.parse((await store.get(DOCUMENT)) ?? '[]') as string[]
  await store.set(DOCUMENT, JSON.stringify([...known, ...texts]))
}

const looked = () => new Promise((resolve) => setTimeout(resolve, 5_000))

async function signerOf(cls: 'access' | 'internal'): Promise<SigningKey> {
  return new KeyRing(await loadKeys(fleet.keysDirectory, { development: true })).active(cls, 'ES256', nowS())
}

describe('whoever can write to the store', () => {
  test('makes no broker publish a key: not by one of their own, not in the name of ours, not by an access key', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const internal = await signerOf('internal')
    const forged = [
      await announcementBy({ kid: 'mine', alg: 'ES256', key: privateKey }),
      await announcementBy({ ...internal, key: privateKey }),
      // A stolen access key forges access tokens; it must not outlive its own kill through another.
      await announcementBy(await signerOf('access')),
      await announcementBy(internal, { iss: 'https://another.example' }),
    ]
    const before = [...(await published(a))].sort()
    await inject('not a token', ...forged.map(({ text }) => text))
    await looked()
    for (const at of [a, b]) {
      expect([...(await published(at))].sort()).toEqual(before)
      expect((await whenReady(() => at.request('/readyz'))).status).toBe(200)
    }
    // Nor does wiping it harm who is there.
    await store.set(DOCUMENT, '{}')
    await looked()
    await expect.poll(async () => JSON.parse((await store.get(DOCUMENT)) ?? '')).toHaveLength(4)
    expect((await whenReady(() => b.request('/readyz'))).status).toBe(200)
  })

  test('and has stolen an internal key: what it vouched for is gone with it, at every broker', async () => {
    const stolen = await signerOf('internal')
    const { kid, text } = await announcementBy(stolen, { activate_at: nowS() + 3_600 })
    await inject(text)
    await until(async () => (await published(b)).includes(kid))
    const order = { dimension: 'key', kid: stolen.kid }
    const kill = () => fleet.managementToken().then((token) => a.bearer('/admin/v1/revocations', token, 'POST', order))
    expect((await whenReady(kill)).status).toBe(200)
    await until(async () => !(await published(a)).includes(kid) && !(await published(b)).includes(kid), 1_000)
  })
})

describe('a machine that does not belong', () => {
  test('with keys of its own joins nothing, says so, and takes nobody down', async () => {
    const other = await startFleet(() => ({ store: { kind: 'redis', url: redis.url } }))
    const stray = await other.start({ keysDirectory: join(directory, 'empty') }).catch((error: unknown) => error)
    // It found the ring of others and an empty directory: it makes no second set of keys.
    const made = readdirSync(directory).includes('empty') ? readdirSync(join(directory, 'empty')) : []
    expect(made.filter((name) => name.endsWith('.jwk.json'))).toEqual([])
    expect(await keysCheck(stray as BrokerProcess)).toContain('the key files here are not of the ring')

    mkdirSync(join(directory, 'strange'))
    const now = nowS()
    for (const cls of ['access', 'internal', 'statement'] as const) {
      const request = { class: cls, alg: 'ES256', now, development: true, publishSeconds: 0 } as const
      await rotate(join(directory, 'strange'), request)
    }
    const strange = await other.start({ keysDirectory: join(directory, 'strange') })
    expect((await strange.request('/readyz')).status).toBe(503)
    expect(await keysCheck(strange)).toContain('the key files here are not of the ring')
    await looked()
    for (const at of [a, b]) {
      expect((await whenReady(() => at.request('/readyz'))).status).toBe(200)
      expect(await published(at)).toHaveLength(3)
    }
    expect(JSON.parse((await store.get(DOCUMENT)) ?? '')).toHaveLength(4)
    // What an operator who has lost their files for good gives up with errand keys kill.
    const named = (await keysCheck(strange)).match(/[\w-]{43}/g) ?? []
    expect(named).toHaveLength(4)
    await other.close()
  })
})
