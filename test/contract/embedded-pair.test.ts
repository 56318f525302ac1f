/** The contract of the store once more, with two processes on one embedded store, and what only two can do to each other. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ControlEntry } from '../../src/authority/cutoffs.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { newSessionId } from '../../src/kernel/ids.ts'
import { CUTOFF_STALENESS_MS_MAX } from '../../src/kernel/store-limits.ts'
import { LiveCutoffs } from '../../src/sessions/live-cutoffs.ts'
import { holdDirectory } from '../../src/store/embedded-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { runChild } from '../support/child.ts'
import { mintCommit, openCommit, revokeCommit } from '../support/race-commits.ts'
import { expectAll } from './acknowledged.ts'
import { describeAudit } from './audit-contract.ts'
import { describeContents } from './contents-model.ts'
import { describeControl } from './control-contract.ts'
import { describeFullOutbox } from './full-outbox-contract.ts'
import { describeLog } from './log-contract.ts'
import { add, commitOf, describeStore, HOUR_MS } from './store-contract.ts'
import { openPair, type StorePair } from './store-pair.ts'

describeStore('embedded, two processes', openPair)
describeAudit('embedded, two processes', openPair)
describeControl('embedded, two processes', openPair)
describeContents('embedded, two processes', openPair)
describeLog('embedded, two processes', openPair)
describeFullOutbox('embedded, two processes', openPair)

describe('two processes on one embedded store', () => {
  let pair: StorePair
  let both: readonly [Store, Store]
  beforeAll(async () => {
    pair = await openPair()
    both = [pair.local, pair.remote]
  })
  afterAll(() => pair.close())

  it('give a single-use id to one caller only', async () => {
    for (let round = 0; round < 100; round += 1) {
      const claims = [0, 1, 0, 1].map((at, n) =>
        (both[(at + round) % 2] as Store).claims.claim(`id-${round}`, `nonce-${n}`, Date.now() + HOUR_MS),
      )
      expect((await Promise.all(claims)).filter(Boolean)).toHaveLength(1)
    }
  })

  it('lose no update of one session, and number their audit records without a gap or a double', async () => {
    const before = (await pair.local.audit.latest(10_000)).length
    const session = newSessionId()
    const commits = Array.from({ length: 400 }, (_, n) =>
      (both[n % 2] as Store).sessions.commit(commitOf(session, [add('count', 1)], { audit: `record ${n}` })),
    )
    expect((await Promise.all(commits)).every(({ committed }) => committed)).toBe(true)
    for (const store of both) {
      expect((await store.sessions.readAll(session))?.get('count')).toBe('400')
      const records = (await store.audit.latest(10_000)).slice(0, 400)
      expect(new Set(records.map(({ record }) => record)).size).toBe(400)
      const positions = records.map(({ position }) => Number(position))
      expect(positions).toEqual(positions.toSorted((a, b) => b - a))
      expect(Math.max(...positions) - Math.min(...positions)).toBe(399)
      expect(await store.audit.usage()).toMatchObject({ records: before + 400 })
    }
  })

  it('mint nothing after the other has revoked', async () => {
    for (let round = 0; round < 60; round += 1) {
      const session = newSessionId()
      await (both[round % 2] as Store).sessions.commit(openCommit(session))
      let revoked = false
      const late: unknown[] = []
      const minting = Array.from({ length: 8 }, async (_, leaf) => {
        const asked = revoked
        const outcome = await (both[leaf % 2] as Store).sessions.commit(mintCommit(session, leaf))
        if (asked && outcome.committed) late.push(leaf)
      })
      const way = round % 2 === 0 ? 'session' : 'node'
      const killing = (both[(round + 1) % 2] as Store).sessions.commit(revokeCommit(session, way)).then(() => {
        revoked = true
      })
      await Promise.all([...minting, killing])
      const after = await Promise.all(both.map((store, n) => store.sessions.commit(mintCommit(session, 100 + n))))
      expect([late, after.map(({ committed }) => committed)]).toEqual([[], [false, false]])
    }
  })

  it('hear each other’s cut-offs in order and without a gap, and a view that hears nothing becomes stale', async () => {
    const heard: ControlEntry[] = []
    const seqs: number[] = []
    const listener = {
      snapshot: () => undefined,
      written: (seq: number, entries: readonly ControlEntry[]) => {
        seqs.push(seq)
        heard.push(...entries)
      },
      confirmed: () => undefined,
    }
    const feed = await pair.local.control.follow(listener)
    const delays: number[] = []
    for (let n = 0; n < 100; n += 1) {
      const id = `agent-${n}`
      const cutoff = { entry: 'cutoff', dimension: 'agent', id, expiresAtMs: Date.now() + HOUR_MS } as const
      const begun = performance.now()
      await (both[n % 2] as Store).control.write([cutoff], 0)
      while (heard.at(-1)?.id !== id) await sleep(1)
      if (n % 2 === 1) delays.push(performance.now() - begun)
    }
    expect(heard.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, n) => `agent-${n}`))
    expect(seqs).toEqual(seqs.toSorted((a, b) => a - b))
    const [p50, p99] = [0.5, 0.99].map((q) => delays.toSorted((a, b) => a - b)[Math.floor(q * delays.length)] ?? 0)
    console.log(
      `a cut-off of the other process is heard ${p50?.toFixed(1)} ms (p99 ${p99?.toFixed(1)} ms) after it was asked for`,
    )
    expect(p99).toBeLessThan(1_000)
    await feed.stop()

    const cutoffs = new LiveCutoffs(systemClock)
    const following = await pair.local.control.follow(cutoffs)
    expect(cutoffs.fresh).toBe(true)
    await following.stop()
    await sleep(CUTOFF_STALENESS_MS_MAX + 100)
    expect(cutoffs.fresh).toBe(false)
  })
})

describe('processes under one lock', () => {
  const WRITER = new URL('./durable-writer.ts', import.meta.url)
  let directory: string
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'errand-workers-'))
  })
  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  const written = (count: number, child: ReturnType<typeof runChild>) =>
    new Promise<void>((resolve) => child.onLine(() => child.lines.length >= count && resolve()))

  it('one killed with SIGKILL in the middle of its writes loses nothing acknowledged and holds up nobody', async () => {
    const held = holdDirectory(directory, () => undefined)
    const args = ['embedded', directory, String(process.pid)]
    const steady = runChild(WRITER, args)
    await written(20, steady)
    const acknowledged: string[] = []
    for (let kill = 0; kill < 8; kill += 1) {
      const victim = runChild(WRITER, args)
      await written(20, victim)
      await sleep(20 + Math.floor(Math.random() * 100))
      await victim.kill()
      acknowledged.push(...victim.lines)
      // LMDB's lock dies with its holder: the other goes on.
      await written(steady.lines.length + 50, steady)
    }
    await steady.kill()
    acknowledged.push(...steady.lines)
    held.release()
    const store = await openStore({ kind: 'embedded', directory, org: 'acme', clock: systemClock })
    await expectAll(store, acknowledged)
    const { records } = await store.audit.usage()
    expect(records).toBeGreaterThanOrEqual(acknowledged.filter((line) => line.startsWith('commit')).length)
    await store.close()
  })

  it('a stranger is refused, and so is a worker of another parent', async () => {
    const held = holdDirectory(directory, () => undefined)
    const stranger = runChild(WRITER, ['embedded', directory])
    expect(await stranger.exited).not.toBe(0)
    const peers = { lockHolderPid: process.ppid, notify: () => undefined, onNotified: () => undefined }
    const opened = openStore({ kind: 'embedded', directory, org: 'acme', clock: systemClock, peers })
    await expect(opened).rejects.toThrow(StoreUnavailable)
    held.release()
  })

  it('a stopped one that holds LMDB’s lock blocks writes until their deadline, never reads, and nothing after its end', async () => {
    const held = holdDirectory(directory, () => undefined)
    const args = ['embedded', directory, String(process.pid)]
    const peers = { lockHolderPid: process.pid, notify: () => undefined, onNotified: () => undefined }
    const store = await openStore({ kind: 'embedded', directory, org: 'acme', clock: systemClock, peers })
    const stopped = runChild(WRITER, args)
    await written(20, stopped)
    const session = newSessionId()
    await store.sessions.commit(openCommit(session))
    let blocked = false
    // It holds the lock most of the time, not always: stop it until it is caught with it.
    for (let attempt = 0; attempt < 20 && !blocked; attempt += 1) {
      stopped.process.kill('SIGSTOP')
      await sleep(20)
      const asked = performance.now()
      const outcome = await store.sessions.commit(mintCommit(session, attempt)).catch((error: unknown) => error)
      blocked = outcome instanceof StoreUnavailable
      if (blocked) {
        expect(performance.now() - asked).toBeLessThan(4_000)
        expect((await store.sessions.readAll(session))?.get('state')).toBe('active')
        break
      }
      stopped.process.kill('SIGCONT')
      await sleep(10 + attempt)
    }
    expect(blocked).toBe(true)
    await stopped.kill()
    expect((await store.sessions.commit(mintCommit(session, 1_000))).committed).toBe(true)
    await store.close()
    held.release()
  })
})
