/** Acknowledged means durable: writers, and the server, are killed at any moment and nothing acknowledged may be missing. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { openStore } from '../../src/store/open-store.ts'
import { StoreUnavailable } from '../../src/store/ports.ts'
import { runChild } from '../support/child.ts'
import { isBack, whenAvailable } from '../support/patience.ts'
import { startRedis } from '../support/redis.ts'
import { expectAll } from './acknowledged.ts'
import { commitOf, HOUR_MS, set } from './store-contract.ts'

const KILLS = 5
const WRITER = new URL('./durable-writer.ts', import.meta.url)

/** Lets a writer run for a moment, different each time, and kills it in the middle of whatever it is doing. */
async function killedWriter(kind: string, target: string): Promise<readonly string[]> {
  const child = runChild(WRITER, [kind, target])
  await expect.poll(() => child.lines.length).toBeGreaterThan(20)
  await sleep(50 + Math.floor(Math.random() * 200))
  await child.kill()
  return child.lines
}

it('embedded: a writer killed with SIGKILL loses nothing it was told is done, and its lock stops nobody', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'errand-durable-'))
  const acknowledged: string[] = []
  for (let kill = 0; kill < KILLS; kill++) {
    const lines = await killedWriter('embedded', directory)
    expect(lines.length).toBeGreaterThan(20)
    acknowledged.push(...lines)
    const store = await openStore({
      kind: 'embedded',
      directory,
      org: 'acme',
      clock: systemClock,
    })
    await expectAll(store, acknowledged)
    await store.close()
  }
  rmSync(directory, { recursive: true, force: true })
})

it('redis: a server with appendfsync always, killed with SIGKILL under load, loses nothing it acknowledged', async () => {
  const args = ['--appendonly', 'yes', '--appendfsync', 'always']
  const dir = mkdtempSync(join(tmpdir(), 'errand-durable-'))
  let redis = await startRedis({ dir, args })
  const { port, url } = redis
  const store = await openStore({ kind: 'redis', url, org: 'acme' })
  const acknowledged: string[] = []
  let unknown = 0
  let running = true
  const worker = async (name: number): Promise<void> => {
    for (let n = 0; running; n++) {
      const id = `${name}-${n}`
      try {
        await store.sessions.commit(commitOf(`ses_${id}`, [set('state', 'active')], { audit: id }))
        acknowledged.push(`commit ${id}`)
        const cutoff = {
          entry: 'cutoff',
          dimension: 'session',
          id,
          expiresAtMs: Date.now() + HOUR_MS,
        } as const
        acknowledged.push(`control ${id} ${(await store.control.write([cutoff], 0)).seq}`)
        await store.claims.claim(id, id, Date.now() + HOUR_MS)
        acknowledged.push(`claim ${id}`)
      } catch (error) {
        expect(error).toBeInstanceOf(StoreUnavailable)
        unknown++
        await sleep(20)
      }
    }
  }
  const workers = Promise.all(Array.from({ length: 8 }, (_, name) => worker(name)))
  for (let kill = 0; kill < KILLS; kill++) {
    const before = acknowledged.length
    await expect.poll(() => acknowledged.length, { interval: 20 }).toBeGreaterThan(before + 200)
    await redis.kill()
    redis = await startRedis({ dir, port, args })
  }
  running = false
  await workers
  expect(acknowledged.length).toBeGreaterThan(KILLS * 200)
  // Each kill met writers in flight: otherwise nothing was tested.
  expect(unknown).toBeGreaterThanOrEqual(KILLS)
  await expect.poll(() => isBack(store)).toBe(true)
  await whenAvailable(() => expectAll(store, acknowledged))
  await store.close()
  await redis.stop()
  rmSync(dir, { recursive: true, force: true })
})
