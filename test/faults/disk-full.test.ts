/**
 * The disk under the embedded store is full (H72, H73): nothing is issued, the broker says so and lives on, and when there is
 * room again so does everything it had. A real small file system, where one may be mounted.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type BrokerProcess, type Fleet, startFleet, until } from '../support/broker-process.ts'
import { type Answer, patient } from '../support/world.ts'

const disk = mkdtempSync(join(tmpdir(), 'errand-disk-'))
const isMounted = mount()
if (!isMounted) console.warn('disk-full: NOT TESTED, no file system can be mounted here (it takes root on Linux)')

let fleet: Fleet
let broker: BrokerProcess

beforeAll(async () => {
  fleet = await startFleet(() => ({ store: { kind: 'embedded', directory: join(disk, 'store') } }))
  broker = await fleet.start()
})
afterAll(async () => {
  await fleet?.close()
  if (isMounted) execFileSync('umount', ['-l', disk])
  rmSync(disk, { recursive: true, force: true })
})

function mount(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** To the last block, whatever the broker writes meanwhile. */
function fill(): void {
  const file = openSync(join(disk, 'filler'), 'w')
  const block = Buffer.alloc(4_096)
  try {
    for (;;) writeSync(file, block)
  } catch (error) {
    expect(error).toMatchObject({ code: 'ENOSPC' })
  } finally {
    closeSync(file)
  }
}

const free = () => rmSync(join(disk, 'filler'), { force: true })
afterEach(free)

const isReady = async () => (await broker.request('/readyz')).status === 200

/** What LMDB has pages to spare for is still written, and then it is as good as ever; anything else is a 503. */
function expectHonest(name: string, { status, headers, body }: Answer): void {
  expect([name, [200, 503].includes(status)], JSON.stringify(body)).toEqual([name, true])
  if (status === 200) return
  expect([name, body.error, body.access_token]).toEqual([name, 'temporarily_unavailable', undefined])
  expect(Number(headers.get('retry-after')), name).toBeGreaterThan(0)
}

test.skipIf(!isMounted)(
  'full: 503 for all that cannot be written, readiness tells, and it ends when there is room',
  async () => {
    const { session } = await broker.opened()
    const access = (await patient(broker).continue(session)).body.access_token
    for (let round = 0; round < 3; round += 1) {
      const end = (await broker.opened()).session
      fill()
      await until(async () => (await broker.open()).status === 503)
      await until(async () => !(await isReady()))
      expectHonest('continue', await broker.continue(session))
      expectHonest('delegate', await broker.delegate(session))
      expectHonest('introspect', await broker.introspect(access))
      const revoke = await broker.revoke(end)
      expectHonest('revoke', revoke)
      for (const path of ['/healthz', '/jwks']) expect([path, (await broker.request(path)).status]).toEqual([path, 200])
      free()
      await until(isReady)
      const again = patient(broker)
      expect((await again.continue(session)).status).toBe(200)
      expect((await again.introspect(access)).body.active).toBe(true)
      // A revoke that was acknowledged holds; one that was not is repeated, and holds then.
      if (revoke.status === 200) expect((await again.continue(end)).status).toBe(400)
      expect((await again.revoke(end)).status).toBe(200)
      expect((await again.continue(end)).status).toBe(400)
    }
  },
)

test.skipIf(!isMounted)('killed while it was full: the next one finds everything that was answered', async () => {
  const { session } = await broker.opened()
  const revoked = await broker.opened()
  expect((await patient(broker).revoke(revoked.session)).status).toBe(200)
  fill()
  await until(async () => (await broker.open()).status === 503)
  await broker.kill()
  free()
  broker = await fleet.start()
  expect((await patient(broker).continue(session)).status).toBe(200)
  expect((await patient(broker).continue(revoked.session)).status).toBe(400)
})

test('a database file that is not one is not taken for an empty store', async () => {
  await broker.opened()
  await broker.kill()
  writeFileSync(join(disk, 'store', 'errand.mdb'), Buffer.alloc(65_536, 'not a database'))
  await expect(fleet.start()).rejects.toThrow(/cannot be opened/)
})
