/** The contract of the control slot: sequence, merging, snapshots and followers, run against every backend. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Block, type ControlEntry, type Cutoff, CutoffSet } from '../../src/authority/cutoffs.ts'
import { pairKey } from '../../src/authority/dimensions.ts'
import type { ControlListener, ControlSnapshot, ControlWrite, ControlWritten, Store } from '../../src/store/ports.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { HOUR_MS, ODD_TEXTS, type OpenedStore, type OpenFresh } from './store-contract.ts'
import { whileItLasts } from './while-it-lasts.ts'

const cutoff = (id: string, expiresAtMs = Date.now() + HOUR_MS): ControlWrite => ({
  entry: 'cutoff',
  dimension: 'agent',
  id,
  expiresAtMs,
})

type BlockWrite = Extract<ControlWrite, { entry: 'block' }>
const block = (id: string, rest: Partial<BlockWrite> = {}): BlockWrite => ({
  entry: 'block',
  kind: 'pair',
  id,
  expiresAtMs: null,
  ...rest,
})
const lift = (id: string): ControlWrite => ({ entry: 'lift', kind: 'pair', id })
/** A listener that keeps everything it is told, in order. */
export class Recorder implements ControlListener {
  readonly snapshots: ControlSnapshot[] = []
  readonly events: { readonly seq: number; readonly entries: readonly ControlEntry[] }[] = []
  readonly confirmations: { readonly seq: number; readonly atMs: number; readonly receivedAtMs: number }[] = []
  throwsOnNextEvent = false

  snapshot(snapshot: ControlSnapshot): void {
    this.snapshots.push(snapshot)
  }

  written(seq: number, entries: readonly ControlEntry[]): void {
    if (this.throwsOnNextEvent) {
      this.throwsOnNextEvent = false
      throw new Error('this listener cannot apply it')
    }
    this.events.push({ seq, entries })
  }

  confirmed(seq: number, atMs: number): void {
    this.confirmations.push({ seq, atMs, receivedAtMs: Date.now() })
  }

  get confirmedSeq(): number {
    return this.confirmations.at(-1)?.seq ?? -1
  }
}

export async function eventually(what: string, holds: () => boolean, withinMs = PATIENCE_MS): Promise<void> {
  const deadline = Date.now() + withinMs
  while (!holds()) {
    if (Date.now() > deadline) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(5)
  }
}

export function describeControl(name: string, openFresh: OpenFresh): void {
  describe(`${name}: the contract of the control slot`, () => {
    let opened: OpenedStore
    beforeAll(async () => {
      opened = await openFresh()
    })
    afterAll(() => opened?.close())
    const current = (): Store => opened.store

    describe('sequence', () => sequenceContract(current))
    describe('merging', () => mergingContract(current))
    describe('followers', () => followersContract(current, openFresh))
    describe('followers that were away', () => absenceContract(current))
  })
}

function sequenceContract(store: () => Store): void {
  it('gives every write a higher number than all before it, under concurrent writers', async () => {
    const writer = async (): Promise<ControlWritten[]> => {
      const written: ControlWritten[] = []
      for (let n = 0; n < 25; n++) written.push(await store().control.write([cutoff(randomUUID())], 0))
      return written
    }
    const all = await Promise.all(Array.from({ length: 8 }, writer))
    for (const written of all) {
      for (const [n, { seq }] of written.entries()) expect(seq).toBeGreaterThan(written[n - 1]?.seq ?? 0)
    }
    const numbers = all.flat().map(({ seq }) => seq)
    expect(new Set(numbers).size).toBe(200)
    expect((await store().control.snapshot()).seq).toBe(Math.max(...numbers))
  })

  it('is at least the time of the store, and says that time', async () => {
    const from = (await store().ping()).nowMs
    const { seq, atMs } = await store().control.write([], 0)
    expect(atMs).toBeGreaterThanOrEqual(from)
    expect(atMs).toBeLessThanOrEqual((await store().ping()).nowMs)
    expect(seq).toBeGreaterThanOrEqual(atMs)
  })

  it('is at least the floor of the writer, who has seen higher numbers, and stays above it', async () => {
    const floor = (await store().control.write([], 0)).seq + 1_000_000
    expect((await store().control.write([cutoff(randomUUID())], floor)).seq).toBe(floor)
    expect((await store().control.write([cutoff(randomUUID())], 0)).seq).toBe(floor + 1)
    expect((await store().control.write([cutoff(randomUUID())], floor - 500)).seq).toBe(floor + 2)
  })

  it('refuses, before writing, what it could not keep', async () => {
    const before = (await store().control.snapshot()).seq
    const write = (entries: readonly ControlWrite[], floor = 0) => store().control.write(entries, floor)
    await expect(write([], 0.5)).rejects.toThrow(TypeError)
    await expect(write([], Number.NaN)).rejects.toThrow(TypeError)
    await expect(write([cutoff('a', Number.POSITIVE_INFINITY)])).rejects.toThrow(TypeError)
    await expect(write([block('a', { newerThanS: 1.5 })])).rejects.toThrow(TypeError)
    await expect(write(Array.from({ length: 1_001 }, (_, n) => cutoff(`${n}`)))).rejects.toThrow(TypeError)
    expect((await store().control.snapshot()).seq).toBe(before)
  })

  it('takes a thousand entries under one number', async () => {
    const run = randomUUID()
    const { seq } = await store().control.write(
      Array.from({ length: 1_000 }, (_, n) => cutoff(`${run} ${n}`)),
      0,
    )
    const entries = (await store().control.snapshot()).entries.filter((entry) => entry.id.startsWith(run))
    expect(entries).toHaveLength(1_000)
    expect(new Set(entries.map((entry) => entry.seq))).toEqual(new Set([seq]))
  })
}

function mergingContract(store: () => Store): void {
  const found = async (id: string): Promise<readonly ControlEntry[]> =>
    (await store().control.snapshot()).entries.filter((entry) => entry.id === id)
  const one = async (id: string): Promise<ControlEntry> => {
    const entries = await found(id)
    expect(entries).toHaveLength(1)
    return entries[0] as ControlEntry
  }

  it('keeps every kind of entry as it was written, odd ids included', async () => {
    for (const text of ODD_TEXTS) {
      const id = `kept ${text}`
      const expiresAtMs = Date.now() + HOUR_MS
      const writes: ControlWrite[] = [
        { entry: 'cutoff', dimension: 'user_agent', id, expiresAtMs },
        { entry: 'cutoff', dimension: 'session', id, expiresAtMs },
        { entry: 'block', kind: 'evidence', id, expiresAtMs },
        { entry: 'block', kind: 'pair', id, expiresAtMs: null, newerThanS: 1_700_000_000 },
      ]
      const { seq, atMs } = await store().control.write(writes, 0)
      const entries = await found(id)
      expect(entries).toHaveLength(writes.length)
      expect(entries).toEqual(expect.arrayContaining(writes.map((write) => ({ ...write, seq, atMs }))))
    }
  })

  it('raises a cut-off to the later number, and never lets it end earlier', async () => {
    const id = randomUUID()
    const late = Date.now() + 2 * HOUR_MS
    await store().control.write([cutoff(id, late)], 0)
    const { seq, atMs } = await store().control.write([cutoff(id, late - HOUR_MS)], 0)
    expect(await one(id)).toEqual({ entry: 'cutoff', dimension: 'agent', id, seq, atMs, expiresAtMs: late })
  })

  it('merges twice the same dimension and id within one write', async () => {
    const id = randomUUID()
    const late = Date.now() + 2 * HOUR_MS
    await store().control.write([cutoff(id, late), cutoff(id, late - HOUR_MS)], 0)
    expect(((await one(id)) as Cutoff).expiresAtMs).toBe(late)
  })

  it.each([
    ['until lifted, over until a time', {}, { expiresAtMs: Date.now() + HOUR_MS }],
    ['until a time, under until lifted', { expiresAtMs: Date.now() + HOUR_MS }, {}],
  ])('keeps the longer of two blocks: %s', async (_, first, second) => {
    const id = randomUUID()
    await store().control.write([block(id, first)], 0)
    await store().control.write([block(id, second)], 0)
    expect(((await one(id)) as Block).expiresAtMs).toBeNull()
  })

  it('keeps the stricter of two bounds on evidence: later over earlier, none of any age over both', async () => {
    const id = randomUUID()
    await store().control.write([block(id, { newerThanS: 200 })], 0)
    await store().control.write([block(id, { newerThanS: 100 })], 0)
    expect(((await one(id)) as Block).newerThanS).toBe(200)
    await store().control.write([block(id)], 0)
    expect(await one(id)).not.toHaveProperty('newerThanS')
    await store().control.write([block(id, { newerThanS: 300 })], 0)
    expect(await one(id)).not.toHaveProperty('newerThanS')
  })

  it('replaces a block by its lift, and a lift by a new block with its own bounds', async () => {
    const id = randomUUID()
    await store().control.write([block(id)], 0)
    const lifted = await store().control.write([lift(id)], 0)
    expect(await one(id)).toEqual({ entry: 'lift', kind: 'pair', id, ...lifted })
    const expiresAtMs = Date.now() + HOUR_MS
    const blocked = await store().control.write([block(id, { expiresAtMs, newerThanS: 5 })], 0)
    expect(await found(id)).toEqual([
      { entry: 'lift', kind: 'pair', id, ...lifted },
      { entry: 'block', kind: 'pair', id, expiresAtMs, newerThanS: 5, ...blocked },
    ])
  })

  it('keeps the last lift beside the newer block for as long as the older would have lasted, and no longer', async () => {
    const { brief, lasting, last, kept, over } = await whileItLasts(async (expiresAtMs) => {
      const [brief, lasting] = [randomUUID(), randomUUID()]
      const soon = { expiresAtMs }
      await store().control.write([block(brief, soon), block(lasting)], 0)
      await store().control.write([lift(brief), lift(lasting)], 0)
      await store().control.write([block(brief), block(lasting, soon)], 0)
      const last = await store().control.write([lift(lasting)], 0)
      await store().control.write([block(lasting, soon), block(brief, { newerThanS: 5 })], 0)
      return { brief, lasting, last, kept: [await found(brief), await found(lasting)] }
    })
    for (const entries of kept) expect(entries.map(({ entry }) => entry)).toEqual(['lift', 'block'])
    await over()
    expect((await found(brief)).map(({ entry }) => entry)).toEqual(['block'])
    expect(await found(lasting)).toEqual([{ entry: 'lift', kind: 'pair', id: lasting, ...last }])
    const again = await store().control.write([lift(lasting)], 0)
    expect(await one(lasting)).toMatchObject(again)
  })

  it('keeps a lift for as long as its block would have lasted: a follower may still hold that', async () => {
    const { brief, lasting, kept, over } = await whileItLasts(async (expiresAtMs) => {
      const [brief, lasting] = [randomUUID(), randomUUID()]
      await store().control.write([block(brief, { expiresAtMs }), block(lasting)], 0)
      await store().control.write([lift(brief), lift(lasting)], 0)
      return { brief, lasting, kept: await found(brief) }
    })
    expect(kept.map(({ entry }) => entry)).toEqual(['lift'])
    await over()
    expect(await found(brief)).toEqual([])
    expect((await one(lasting)).entry).toBe('lift')
  })

  it('tells a cut-off and a block of the same id apart: a lift ends the block only', async () => {
    const id = randomUUID()
    await store().control.write([{ ...cutoff(id), dimension: 'user' } as ControlWrite, block(id, { kind: 'user' })], 0)
    await store().control.write([{ entry: 'lift', kind: 'user', id }], 0)
    expect((await found(id)).map((entry) => entry.entry).sort()).toEqual(['cutoff', 'lift'])
  })

  it('forgets what has expired, and does not merge with it', async () => {
    const { id, gone, kept, over } = await whileItLasts(async (expiresAtMs) => {
      const [id, gone] = [randomUUID(), randomUUID()]
      await store().control.write([block(id, { expiresAtMs }), cutoff(gone, expiresAtMs)], 0)
      return { id, gone, kept: await found(gone) }
    })
    expect(kept).toHaveLength(1)
    await over()
    expect(await found(gone)).toHaveLength(0)
    await store().control.write([block(id, { newerThanS: 7 })], 0)
    expect(((await one(id)) as Block).newerThanS).toBe(7)
  })
}

function followersContract(store: () => Store, openFresh: OpenFresh): void {
  it('starts with a confirmed snapshot that holds everything written before', async () => {
    const ids = Array.from({ length: 20 }, () => randomUUID())
    const written = await Promise.all(ids.map((id) => store().control.write([cutoff(id)], 0)))
    const recorder = new Recorder()
    const following = await store().control.follow(recorder)
    const snapshot = recorder.snapshots[0]
    expect(snapshot?.entries.map((entry) => entry.id)).toEqual(expect.arrayContaining(ids))
    expect(recorder.confirmedSeq).toBe(snapshot?.seq)
    expect(snapshot?.seq).toBeGreaterThanOrEqual(Math.max(...written.map(({ seq }) => seq)))
    await following.stop()
  })

  it('misses and repeats nothing, and keeps the order, when writes race its start', async () => {
    for (let round = 0; round < 5; round++) {
      const writes: Promise<ControlWritten>[] = []
      const write = (): void => void writes.push(store().control.write([cutoff(randomUUID())], 0))
      for (let n = 0; n < 20; n++) write()
      const recorder = new Recorder()
      const begun = store().control.follow(recorder)
      for (let n = 0; n < 20; n++) write()
      const following = await begun
      for (let n = 0; n < 20; n++) write()
      const seqs = (await Promise.all(writes)).map(({ seq }) => seq).sort((a, b) => a - b)
      await eventually('all confirmed', () => recorder.confirmedSeq >= (seqs.at(-1) ?? 0))
      const snapshotSeq = recorder.snapshots[0]?.seq ?? 0
      expect(recorder.snapshots).toHaveLength(1)
      expect(recorder.events.map(({ seq }) => seq)).toEqual(seqs.filter((seq) => seq > snapshotSeq))
      const known = new Set(recorder.snapshots[0]?.entries.map((entry) => entry.seq))
      for (const seq of seqs) expect(known.has(seq) || seq > snapshotSeq).toBe(true)
      await following.stop()
    }
  })

  it('can start at any moment of a stream of writes, also while one is on disk and not yet delivered', async () => {
    let writing = true
    const seqs: number[] = []
    const writer = async (): Promise<void> => {
      while (writing) seqs.push((await store().control.write([cutoff(randomUUID())], 0)).seq)
    }
    const writers = [writer(), writer()]
    const followers = []
    for (let n = 0; n < 60; n++) {
      // Timers, the poll for answers and immediates: each is another moment of the event loop.
      await (n % 2 ? sleep(n % 5) : new Promise((resolve) => setImmediate(resolve)))
      const recorder = new Recorder()
      followers.push(
        store()
          .control.follow(recorder)
          .then((following) => ({ recorder, following })),
      )
      if (n % 10 === 9) await Promise.all(followers)
    }
    const all = await Promise.all(followers)
    writing = false
    await Promise.all(writers)
    const last = Math.max(...seqs)
    for (const { recorder, following } of all) {
      await eventually('all confirmed', () => recorder.confirmedSeq >= last)
      const from = recorder.snapshots[0]?.seq ?? 0
      expect(recorder.events.map(({ seq }) => seq)).toEqual(seqs.filter((seq) => seq > from).sort((a, b) => a - b))
      await following.stop()
    }
  })

  it('delivers the entries as written, with their number and time, in a burst longer than one reading', async () => {
    const recorder = new Recorder()
    const following = await store().control.follow(recorder)
    const written: ControlWritten[] = []
    for (let burst = 0; burst < 4; burst++) {
      const writes = Array.from({ length: 300 }, (_, n) => store().control.write([cutoff(`b${n}`), lift(`b${n}`)], 0))
      written.push(...(await Promise.all(writes)))
    }
    await eventually('the burst', () => recorder.events.length === 1_200)
    for (const [n, event] of recorder.events.entries()) {
      expect(event.entries).toHaveLength(2)
      expect(event.entries[0]).toMatchObject({ entry: 'cutoff', ...written.find(({ seq }) => seq === event.seq) })
      expect(event.seq).toBeGreaterThan(recorder.events[n - 1]?.seq ?? 0)
    }
    expect(recorder.snapshots).toHaveLength(1)
    await following.stop()
  })

  it('confirms at least every 500 ms, with the clock of the store, never before everything up to there was delivered', async () => {
    const recorder = new Recorder()
    const following = await store().control.follow(recorder)
    const until = Date.now() + 1_600
    while (Date.now() < until) {
      await store().control.write([cutoff(randomUUID())], 0)
      await sleep(90)
      const delivered = recorder.events.at(-1)?.seq ?? recorder.snapshots[0]?.seq ?? 0
      expect(recorder.confirmedSeq).toBeLessThanOrEqual(delivered)
    }
    await sleep(1_200)
    const { confirmations } = recorder
    const pauses: number[] = []
    for (const [n, { seq, atMs, receivedAtMs }] of confirmations.entries()) {
      const before = confirmations[n - 1]
      if (before === undefined) continue
      expect(seq).toBeGreaterThanOrEqual(before.seq)
      expect(atMs).toBeGreaterThanOrEqual(before.atMs)
      pauses.push(receivedAtMs - before.receivedAtMs, receivedAtMs - atMs)
    }
    // Not one of them may be late by itself; but this machine may be busy with other tests once or twice.
    expect(pauses.filter((ms) => ms >= 1_000).length).toBeLessThan(pauses.length / 4)
    expect(confirmations.length).toBeGreaterThan(5)
    await following.stop()
  })

  it('leaves a listener that throws unconfirmed until it has taken a new snapshot that holds what it missed', async () => {
    const recorder = new Recorder()
    const following = await store().control.follow(recorder)
    recorder.throwsOnNextEvent = true
    const missed = randomUUID()
    const { seq } = await store().control.write([cutoff(missed)], 0)
    await eventually('a second snapshot', () => recorder.snapshots.length === 2)
    expect(recorder.snapshots[1]?.entries.map((entry) => entry.id)).toContain(missed)
    await eventually('confirmed again', () => recorder.confirmedSeq >= seq)
    const firstSeq = recorder.snapshots[0]?.seq ?? 0
    expect(
      recorder.confirmations.every((confirmation) => confirmation.seq <= firstSeq || confirmation.seq >= seq),
    ).toBe(true)
    const next = await store().control.write([cutoff(randomUUID())], 0)
    await eventually('events again', () => recorder.events.at(-1)?.seq === next.seq)
    await following.stop()
  })

  it('tells several followers the same, and a stopped one nothing more', async () => {
    const [kept, stopped] = [new Recorder(), new Recorder()]
    const [first, second] = [await store().control.follow(kept), await store().control.follow(stopped)]
    await second.stop()
    const told = stopped.confirmations.length
    const { seq } = await store().control.write([cutoff(randomUUID())], 0)
    await eventually('the event', () => kept.events.at(-1)?.seq === seq)
    await sleep(600)
    expect(stopped.events).toHaveLength(0)
    expect(stopped.confirmations).toHaveLength(told)
    await first.stop()
  })

  it('names one epoch for one history, and another for another store', async () => {
    const { epoch } = await store().control.snapshot()
    expect(epoch).not.toBe('')
    expect((await store().control.snapshot()).epoch).toBe(epoch)
    const other = await openFresh()
    const { seq, entries } = await other.store.control.snapshot()
    expect({ seq, entries }).toEqual({ seq: 0, entries: [] })
    await other.close()
  })
}

/** What a broker holds: a set that outlives its connection to the store. */
class Held implements ControlListener {
  readonly set = new CutoffSet()

  snapshot({ entries }: ControlSnapshot): void {
    for (const entry of entries) this.set.apply(entry)
  }

  written(_seq: number, entries: readonly ControlEntry[]): void {
    for (const entry of entries) this.set.apply(entry)
  }

  confirmed(): void {}

  answer(subject: string, agent: string): readonly unknown[] {
    const block = this.set.blocked('pair', pairKey(subject, agent), Date.now())
    const refusal = (signedInAt: number) =>
      this.set.evidenceRefusal({ digest: 'none', subject, agent, signedInAt }) ?? 'passes'
    return [block?.expiresAtMs, block?.newerThanS, ...[1, 150, 250].map(refusal)]
  }
}

function absenceContract(store: () => Store): void {
  const follow = async (held: Held): Promise<Held> => {
    await (await store().control.follow(held)).stop()
    return held
  }

  it('end with the answer of a fresh one: a lift they missed reaches them together with the block after it', async () => {
    const subject = randomUUID()
    const id = pairKey(subject, 'agent')
    await store().control.write([block(id)], 0)
    const away = await follow(new Held())
    expect(away.answer(subject, 'agent').slice(2)).toEqual(Array(3).fill('principal_blocked'))
    await store().control.write([lift(id)], 0)
    await store().control.write([block(id, { newerThanS: 100 })], 0)
    const fresh = await follow(new Held())
    expect(fresh.answer(subject, 'agent')).toEqual([null, 100, 'principal_blocked', 'passes', 'passes'])
    await follow(away)
    expect(away.answer(subject, 'agent')).toEqual(fresh.answer(subject, 'agent'))
  })

  it('at any point of any history of one pair, end with the answer of one that never was', async () => {
    const soonMs = Date.now() + HOUR_MS
    const expiresAtMs = fc.constantFrom(null, soonMs, 2 * soonMs)
    const bounded = fc.record({ expiresAtMs, newerThanS: fc.constantFrom(100, 200) })
    const change = fc.oneof(fc.constant('lift' as const), fc.record({ expiresAtMs }), bounded)
    const property = fc.asyncProperty(fc.array(change, { minLength: 2, maxLength: 8 }), async (changes) => {
      const subject = randomUUID()
      const id = pairKey(subject, 'agent')
      const always = new Held()
      const away: Held[] = changes.map(() => new Held())
      for (const [n, wanted] of changes.entries()) {
        const write = wanted === 'lift' ? lift(id) : block(id, wanted)
        const entry = { ...write, ...(await store().control.write([write], 0)) } as ControlEntry
        for (const held of [always, ...away.slice(n)]) held.written(entry.seq, [entry])
      }
      const entries = (await store().control.snapshot()).entries.filter((entry) => entry.id === id)
      for (const held of [new Held(), ...away]) {
        for (const entry of entries) held.set.apply(entry)
        expect(held.answer(subject, 'agent')).toEqual(always.answer(subject, 'agent'))
      }
    })
    await fc.assert(property, { numRuns: 60 })
  })
}
