/** The log and the outbox of the embedded store: killed at any moment, on a full disk, and brought back from a backup. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { systemClock } from '../../src/kernel/clock.ts'
import { backupEmbedded, restoreEmbedded } from '../../src/store/embedded-backup.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { runChild } from '../support/child.ts'
import { appendNext, expectSequenced } from './log-turns.ts'

const KILLS = 5
const WRITER = new URL('./log-writer.ts', import.meta.url)

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-log-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const open = (at = directory): Promise<Store> => {
  return openStore({ kind: 'embedded', directory: at, org: 'acme', clock: systemClock })
}

it('a sequencer killed with SIGKILL at any moment has lost and doubled no record, and nothing it was told is appended', async () => {
  let turns = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const child = runChild(WRITER, [directory])
    await new Promise<void>((resolve) => child.onLine(() => resolve()))
    await sleep(50 + Math.floor(Math.random() * 200))
    await child.kill()
    const told = (JSON.parse(child.lines.at(-1) ?? '{}') as { turns: number }).turns
    const store = await open()
    const found = await expectSequenced(store)
    expect(found).toBeGreaterThanOrEqual(told)
    expect(told).toBeGreaterThan(turns)
    turns = found
    await store.close()
  }
})

it('a backup brings back the log, the outbox behind it and where both go on', async () => {
  const store = await open()
  const write = async (from: number, to: number, at: Store) => {
    for (let n = from; n < to; n++) await at.audit.append('key', `writer ${n}`)
  }
  await write(0, 30, store)
  await appendNext(store)
  await write(30, 40, store)
  const bytes = Buffer.from([0, 255, 10, 0xc3, 0x28])
  await store.log.append(await store.log.head(), (await store.log.head()) ?? '', [{ name: 'bytes', put: bytes }])
  const cursorOf = async (at: Store) => (JSON.parse((await at.log.head()) ?? '{}') as { cursor: string }).cursor
  const file = join(directory, 'log.backup')
  await backupEmbedded(directory, 'acme', file)
  await write(40, 45, store)
  await appendNext(store)
  await store.close()

  const to = join(directory, 'restored')
  await restoreEmbedded(file, { directory: to, org: 'acme', clock: systemClock, endedFields: new Map() })
  const restored = await open(to)
  expect(await expectSequenced(restored)).toBe(1)
  expect((await restored.log.read(['bytes']))[0]?.equals(bytes)).toBe(true)
  const before = await cursorOf(restored)
  await write(40, 41, restored)
  await appendNext(restored)
  expect((await cursorOf(restored)) > before).toBe(true)
  expect(await expectSequenced(restored)).toBe(2)
  // What had been trimmed is not given out again where the outbox was empty.
  const again = join(directory, 'empty.backup')
  await backupEmbedded(to, 'acme', again)
  await restored.close()
  const third = join(directory, 'third')
  await restoreEmbedded(again, { directory: third, org: 'acme', clock: systemClock, endedFields: new Map() })
  const last = await open(third)
  const end = await cursorOf(last)
  await write(41, 42, last)
  await appendNext(last)
  expect((await cursorOf(last)) > end).toBe(true)
  expect(await expectSequenced(last)).toBe(3)
  await last.close()
})

const disk = mkdtempSync(join(tmpdir(), 'errand-log-disk-'))
const isMounted = mount()
if (!isMounted)
  console.warn('log-durability: NOT TESTED on a full disk, none can be mounted here (it takes root on Linux)')

function mount(): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', disk], { stdio: 'ignore' })
    return true
  } catch {
    rmSync(disk, { recursive: true, force: true })
    return false
  }
}

it.skipIf(!isMounted)(
  'on a disk that is full nothing is appended or recorded by half, and it goes on when there is room',
  async () => {
    const filler = join(disk, 'filler')
    try {
      const store = await open(join(disk, 'store'))
      let n = 0
      for (let round = 0; round < 3; round++) {
        for (let more = 0; more < 20; more++, n++) await store.audit.append('key', `writer ${n}`)
        await appendNext(store)
        const file = openSync(filler, 'w')
        try {
          for (;;) writeSync(file, Buffer.alloc(4_096))
        } catch (error) {
          expect(error).toMatchObject({ code: 'ENOSPC' })
        }
        closeSync(file)
        const head = await store.log.head()
        const big = { name: 'big', put: Buffer.alloc(4_000_000) }
        await expect(store.log.append(head, 'never', [big])).rejects.toThrow(StoreUnavailable)
        await expect(store.audit.append('key', 'x'.repeat(900_000))).rejects.toThrow(StoreUnavailable)
        expect(await store.log.head()).toBe(head)
        expect(await store.log.read(['big'])).toEqual([undefined])
        await expectSequenced(store)
        rmSync(filler)
      }
      await appendNext(store)
      expect(await expectSequenced(store)).toBeGreaterThanOrEqual(3)
      await store.close()
    } finally {
      execFileSync('umount', ['-l', disk])
      rmSync(disk, { recursive: true, force: true })
    }
  },
)
