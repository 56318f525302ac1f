/**
 * Data keys in pages: each used once and only when its page is durable and listed; wrapped anew without a moment in which one is
 * lost, wherever the work is broken off; erased for good.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type DataKey, DataKeys } from '../../../../src/audit/captured/data-keys.ts'
import { DATA_KEY_PAGE_MS, DATA_KEYS_PER_PAGE } from '../../../../src/kernel/capture-limits.ts'
import { createKeyEncryptionKey, KeyEncryptionKeys } from '../../../../src/keys/key-encryption-keys.ts'
import { openStore } from '../../../../src/store/open-store.ts'
import { type DocumentStore, type Store, StoreUnavailable } from '../../../../src/store/ports.ts'
import { scratchDirectory } from '../../../support/scratch.ts'
import { ManualClock } from '../../../support/world.ts'

let directory: string
let keys: string
let store: Store
let clock: ManualClock
beforeEach(async () => {
  directory = scratchDirectory('errand-data-keys-')
  keys = join(directory, 'keys')
  clock = new ManualClock()
  store = await openStore({ kind: 'embedded', directory: join(directory, 'store'), org: 'acme', clock })
  await createKeyEncryptionKey(keys, 1_000)
})
afterEach(async () => {
  await store.close()
  rmSync(directory, { recursive: true, force: true })
})

const dataKeys = async (documents: DocumentStore = store.documents) =>
  new DataKeys(await KeyEncryptionKeys.open(keys), documents, clock)

async function pagesOf({ list }: DataKeys): Promise<readonly string[]> {
  return (await Promise.all((await list.hours()).map((hour) => list.pagesOf(hour)))).flat()
}

/** As a process that is killed after so many calls of the store: nothing of it happens from there on. */
function dyingAfter(calls: number): DocumentStore & { readonly left: number } {
  const dying = {
    left: calls,
    step() {
      if (dying.left === 0) throw new StoreUnavailable('killed')
      dying.left -= 1
    },
    async read(name: string) {
      dying.step()
      return store.documents.read(name)
    },
    async replace(name: string, expected: string | undefined, text: string) {
      dying.step()
      return store.documents.replace(name, expected, text)
    },
  }
  return dying
}

describe('taking', () => {
  test('of many at once nobody gets another’s key; each is found again by its place, by whoever has the key file', async () => {
    const own = await dataKeys()
    const taken = await Promise.all(Array.from({ length: 2 * DATA_KEYS_PER_PAGE + 10 }, () => own.take()))
    expect(new Set(taken.map(({ page, index }) => `${page}:${index}`)).size).toBe(taken.length)
    expect(new Set(taken.map(({ key }) => key.toString('hex'))).size).toBe(taken.length)
    expect(await pagesOf(own)).toHaveLength(3)
    const other = await dataKeys()
    for (const { key, ...place } of [taken[0], taken[DATA_KEYS_PER_PAGE + 1]] as DataKey[]) {
      expect(await other.find(place)).toEqual({ state: 'found', key })
    }
  })

  test('a page is not drawn from for longer than an hour, so that it may go with what it sealed', async () => {
    const own = await dataKeys()
    const first = await own.take()
    clock.advance(DATA_KEY_PAGE_MS / 1000 - 1)
    expect((await own.take()).page).toBe(first.page)
    clock.advance(1)
    expect((await own.take()).page).not.toBe(first.page)
  })

  test('wherever making a page is broken off, no key of it was given out; what there is of it is listed', async () => {
    for (let calls = 0; ; calls += 1) {
      const dying = dyingAfter(calls)
      const taken = await (await dataKeys(dying)).take().catch(() => undefined)
      const own = await dataKeys()
      if (taken === undefined) continue
      expect(calls).toBeGreaterThan(5)
      expect(await pagesOf(own)).toContain(taken.page)
      expect(await own.find(taken)).toMatchObject({ state: 'found' })
      break
    }
  })

  test('without a key to wrap it none is given', async () => {
    rmSync(keys, { recursive: true })
    await expect((await dataKeys()).take()).rejects.toThrow(/errand keys rotate-content/)
  })

  test('a store that does not answer yields none, and the next that asks is served when it does', async () => {
    const own = await dataKeys(dyingAfter(2))
    await expect(Promise.all([own.take(), own.take()])).rejects.toThrow(StoreUnavailable)
    const again = await dataKeys()
    expect((await again.take()).index).toBe(0)
  })
})

function newestOf({ keks }: DataKeys) {
  if (keks.newest === undefined) throw new Error('there is a key')
  return keks.newest
}

/** As `errand audit rekey` does it, by a process of its own. */
async function rekeyAll(own: DataKeys): Promise<void> {
  const to = newestOf(own)
  await own.list.activate(to.id)
  for (const page of await pagesOf(own)) expect(['rewrapped', 'as_it_was']).toContain(await own.rewrap(page, to))
}

describe('rekeying', () => {
  test('broken off at any step it loses nothing, and begun again it ends: then the new key alone opens everything', async () => {
    const first = await dataKeys()
    const taken = []
    for (let page = 0; page < 4; page += 1) {
      taken.push(await first.take())
      clock.advance(DATA_KEY_PAGE_MS / 1000)
    }
    const erased = await first.take()
    await first.erase(erased, 'dec_erasure')
    const before = first.keks.newest?.id ?? ''
    await createKeyEncryptionKey(keys, 2_000)
    let steps = 0
    for (; ; steps += 1) {
      const ended = await rekeyAll(await dataKeys(dyingAfter(steps))).then(
        () => true,
        (error: unknown) => {
          if (error instanceof StoreUnavailable) return false
          throw error
        },
      )
      const now = await dataKeys()
      for (const { key, ...place } of taken)
        expect(await now.find(place), `after ${steps}`).toEqual({ state: 'found', key })
      expect(await now.find(erased)).toEqual({ state: 'erased', by: 'dec_erasure' })
      if (ended) break
    }
    expect(steps).toBeGreaterThan(10)
    rmSync(join(keys, `content-${before}.kek.json`))
    const after = await dataKeys()
    expect(after.keks.ids).toHaveLength(1)
    for (const { key, ...place } of taken) expect(await after.find(place)).toEqual({ state: 'found', key })
  })

  test('a page that a slower broker writes under the old key, while all are wrapped anew, is wrapped anew by that broker', async () => {
    let during: (() => Promise<void>) | undefined
    const documents: DocumentStore = {
      read: (name) => store.documents.read(name),
      replace: async (name, expected, text) => {
        // The page is listed and its key is chosen; it is not written yet.
        if (expected === undefined && /data-keys-\d{10}-/.test(name)) await during?.()
        return store.documents.replace(name, expected, text)
      },
    }
    const slow = await dataKeys(documents)
    during = async () => {
      during = undefined
      const { id } = await createKeyEncryptionKey(keys, 2_000)
      const other = await dataKeys()
      await other.list.activate(id)
      for (const page of await pagesOf(other)) expect(await other.rewrap(page, newestOf(other))).toBe('gone')
    }
    const { key, ...place } = await slow.take()
    const old = slow.keks.ids[0] ?? ''
    rmSync(join(keys, `content-${old}.kek.json`))
    expect(await (await dataKeys()).find(place)).toEqual({ state: 'found', key })
  })

  test('without the file of the key that wraps them a page is left as it is, and what it wraps names that key', async () => {
    const first = await dataKeys()
    const { key, ...place } = await first.take()
    const old = first.keks.newest?.id ?? ''
    rmSync(join(keys, `content-${old}.kek.json`))
    const to = await createKeyEncryptionKey(keys, 2_000)
    const own = await dataKeys()
    expect(await own.rewrap(place.page, to)).toBe('unreadable')
    expect(await own.find(place)).toEqual({ state: 'missing', kek: old })
    expect(key).toHaveLength(32)
  })
})

describe('erasing', () => {
  test('one key is gone for good, also after rekeying, and its neighbours are not; it says which record', async () => {
    const own = await dataKeys()
    const [one, other] = [await own.take(), await own.take()]
    await own.erase(one, 'dec_first')
    await own.erase(one, 'dec_second')
    await rekeyAll(own)
    expect(await own.find(one)).toEqual({ state: 'erased', by: 'dec_first' })
    expect(await own.find(other)).toEqual({ state: 'found', key: other.key })
  })

  test('while all are wrapped anew at the same moment, it stays erased', async () => {
    const own = await dataKeys()
    const one = await own.take()
    await createKeyEncryptionKey(keys, 2_000)
    const other = await dataKeys()
    await Promise.all([own.erase(one, 'dec_first'), rekeyAll(other)])
    expect(await other.find(one)).toEqual({ state: 'erased', by: 'dec_first' })
  })

  test('keys exchanged in the store open for nothing', async () => {
    const own = await dataKeys()
    const [one, other] = [await own.take(), await own.take()]
    const name = `data-keys-${one.page}`
    const text = (await store.documents.read(name)) ?? ''
    const [kek, first, second, ...rest] = JSON.parse(text)
    await store.documents.replace(name, text, JSON.stringify([kek, second, first, ...rest]))
    expect(await own.find(one)).toMatchObject({ state: 'missing' })
    expect(await own.find(other)).toMatchObject({ state: 'missing' })
  })

  test('an hour is forgotten with all its pages', async () => {
    const own = await dataKeys()
    const one = await own.take()
    clock.advance(7200)
    const later = await own.take()
    await own.forgetHour(one.page.slice(0, 10))
    expect(await own.find(one)).toEqual({ state: 'gone' })
    expect(await own.find(later)).toMatchObject({ state: 'found' })
    expect(await own.list.hours()).toEqual([later.page.slice(0, 10)])
  })

  test('what goes with pruned records is forgotten, and no page that a kept one may be sealed from', async () => {
    const own = await dataKeys()
    const one = await own.take()
    clock.advance(4 * 3600)
    const later = await own.take()
    await own.forgetBefore(clock.nowMs() - 3 * 3_600_000)
    expect(await own.find(one)).toMatchObject({ state: 'found' })
    await own.forgetBefore(clock.nowMs())
    expect(await own.find(one)).toEqual({ state: 'gone' })
    expect(await own.find(later)).toMatchObject({ state: 'found' })
  })
})
