/**
 * Data keys of what is captured: one for each text, made and wrapped in pages of many, so that capturing costs the store a write
 * for a page and none for a text. Pages lie in the store's shared documents, where a wrapped key can be replaced or removed:
 * beside the sealed texts, which the audit names and never changes.
 *
 * Guarantees: no key is used before the page that wraps it is durable and listed, so that whoever wraps all pages anew, or looks
 * for one, misses none; each is used once; one that was erased is given back to nobody, and says which record erased it.
 */
import { randomBytes } from 'node:crypto'
import { DATA_KEY_ATTEMPTS_MAX, DATA_KEY_PAGE_MS, DATA_KEYS_PER_PAGE } from '../../kernel/capture-limits.ts'
import type { Clock } from '../../kernel/clock.ts'
import { newSalt } from '../../kernel/ids.ts'
import { type KeyEncryptionKey, type KeyEncryptionKeys, unwrapKey, wrapKey } from '../../keys/key-encryption-keys.ts'
import { type DocumentStore, StoreUnavailable } from '../../store/ports.ts'
import { outsideBudget } from '../../store/time-budget.ts'
import { hourOf, PageList } from './page-list.ts'

/** Where a data key is: a page, and the how-manieth in it. */
export interface KeyPlace {
  readonly page: string
  readonly index: number
}

export interface DataKey extends KeyPlace {
  readonly key: Buffer
}

/** `erased`: by the record of this id; `missing`: the file of that key-encryption key is not here; `gone`: there is no such page. */
export type FoundKey =
  | { readonly state: 'found'; readonly key: Buffer }
  | { readonly state: 'erased'; readonly by: string }
  | { readonly state: 'missing'; readonly kek: string }
  | { readonly state: 'gone' }

/** As it lies in the store. All of its keys are wrapped by one. */
interface Page {
  readonly kek: string
  readonly keys: readonly string[]
}

interface Drawn {
  readonly page: string
  readonly keys: readonly Buffer[]
  readonly until: number
  next: number
}

const HOUR_MS = 3_600_000
/** In place of a wrapped key: no base64url has a colon. */
const ERASED = 'erased:'

export type Rewrapped = 'rewrapped' | 'as_it_was' | 'unreadable' | 'gone'

export class DataKeys {
  readonly keks: KeyEncryptionKeys
  readonly list: PageList
  readonly #documents: DocumentStore
  readonly #clock: Clock
  #drawn: Drawn | undefined
  #making: Promise<void> | undefined

  constructor(keks: KeyEncryptionKeys, documents: DocumentStore, clock: Clock) {
    this.keks = keks
    this.list = new PageList(documents)
    this.#documents = documents
    this.#clock = clock
  }

  /** One that nothing was sealed with yet. @throws StoreUnavailable; Error where there is no key to wrap it with */
  async take(): Promise<DataKey> {
    for (;;) {
      const drawn = this.#drawn
      const index = drawn?.next ?? 0
      const key = drawn?.keys[index]
      if (drawn !== undefined && key !== undefined && this.#clock.nowMs() < drawn.until) {
        drawn.next += 1
        return { page: drawn.page, index, key }
      }
      // Of all who find it used up, one makes the next; not within what is left of the time of that one's request.
      this.#making ??= outsideBudget(() => this.#make()).finally(() => {
        this.#making = undefined
      })
      await this.#making
    }
  }

  /** @throws StoreUnavailable */
  async find({ page, index }: KeyPlace): Promise<FoundKey> {
    const kept = decode(await this.#documents.read(documentOf(page)))
    const wrapped = kept?.keys[index]
    if (kept === undefined || wrapped === undefined) return { state: 'gone' }
    if (wrapped.startsWith(ERASED)) return { state: 'erased', by: wrapped.slice(ERASED.length) }
    const kek = await this.#kek(kept.kek)
    const key = kek && unwrapKey(wrapped, placeOf(page, index), kek)
    return key === undefined ? { state: 'missing', kek: kept.kek } : { state: 'found', key }
  }

  /**
   * Nobody opens what was sealed with it any more. @param by the record that says so. @returns the record that has erased it:
   * an earlier one, where it was erased before; `undefined`: it was gone. @throws StoreUnavailable
   */
  async erase({ page, index }: KeyPlace, by: string): Promise<string | undefined> {
    let erasedBy: string | undefined
    await this.#change(page, (kept) => {
      const key = kept.keys[index]
      erasedBy = key?.startsWith(ERASED) === true ? key.slice(ERASED.length) : key && by
      if (erasedBy !== by) return undefined
      return { ...kept, keys: kept.keys.map((one, at) => (at === index ? ERASED + by : one)) }
    })
    return erasedBy
  }

  /** All keys of one page under this one, if they are not yet: in one write. @throws StoreUnavailable */
  async rewrap(page: string, to: KeyEncryptionKey): Promise<Rewrapped> {
    let outcome: Rewrapped = 'gone'
    await this.#change(page, (kept) => {
      outcome = 'as_it_was'
      if (kept.kek === to.id) return undefined
      const from = this.keks.get(kept.kek)
      const keys = from && rewrapped(page, kept.keys, from, to)
      outcome = keys === undefined ? 'unreadable' : 'rewrapped'
      return keys && { kek: to.id, keys }
    })
    return outcome
  }

  /** Pages of that hour, and what they wrap, are no more. */
  async forgetHour(hour: string): Promise<void> {
    for (const page of await this.list.pagesOf(hour)) await this.#change(page, () => ({ kek: '', keys: [] }))
    await this.list.forget(hour)
  }

  /** All that was sealed before then opens no more. @param ms epoch milliseconds. @throws StoreUnavailable */
  async forgetBefore(ms: number): Promise<void> {
    // A page is used for a while after it was made, by brokers whose clocks differ.
    const kept = hourOf(Math.max(0, ms - DATA_KEY_PAGE_MS - HOUR_MS))
    for (const hour of await this.list.hours()) if (hour < kept) await this.forgetHour(hour)
  }

  async #make(): Promise<void> {
    const nowMs = this.#clock.nowMs()
    const page = `${hourOf(nowMs)}-${newSalt()}`
    const keys = Array.from({ length: DATA_KEYS_PER_PAGE }, () => randomBytes(32))
    await this.list.add(page)
    const kek = await this.#wrapping()
    const text = encode({ kek: kek.id, keys: keys.map((key, index) => wrapKey(key, placeOf(page, index), kek)) })
    if (!(await this.#documents.replace(documentOf(page), undefined, text))) throw new Error('a page id comes twice')
    // Who wraps all pages anew may have looked at this one before it was there.
    const now = await this.#wrapping()
    if (now.id !== kek.id) await this.rewrap(page, now)
    this.#drawn = { page, keys, until: nowMs + DATA_KEY_PAGE_MS, next: 0 }
  }

  /** The one that was last rotated to, where its file is here; else the newest there is. */
  async #wrapping(): Promise<KeyEncryptionKey> {
    const active = await this.list.active()
    const kek = (active === undefined ? undefined : await this.#kek(active)) ?? this.keks.newest
    if (kek === undefined) throw new Error('there is no key-encryption key: errand keys rotate-content makes one')
    return kek
  }

  /** Also one whose file has come since. */
  async #kek(id: string): Promise<KeyEncryptionKey | undefined> {
    if (this.keks.get(id) === undefined) await this.keks.reload()
    return this.keks.get(id)
  }

  async #change(page: string, change: (kept: Page) => Page | undefined): Promise<void> {
    for (let attempt = 0; attempt < DATA_KEY_ATTEMPTS_MAX; attempt += 1) {
      const text = await this.#documents.read(documentOf(page))
      const kept = decode(text)
      const changed = kept && change(kept)
      if (changed === undefined || (await this.#documents.replace(documentOf(page), text, encode(changed)))) return
    }
    throw new StoreUnavailable('too many change one page of data keys at once')
  }
}

/** `undefined`: one of them could not be unwrapped, and none is touched. */
function rewrapped(page: string, keys: readonly string[], from: KeyEncryptionKey, to: KeyEncryptionKey) {
  const changed: string[] = []
  for (const [index, wrapped] of keys.entries()) {
    const place = placeOf(page, index)
    const key = wrapped.startsWith(ERASED) ? undefined : unwrapKey(wrapped, place, from)
    if (key === undefined && !wrapped.startsWith(ERASED)) return undefined
    changed.push(key === undefined ? wrapped : wrapKey(key, place, to))
  }
  return changed
}

const documentOf = (page: string) => `data-keys-${page}`
const placeOf = (page: string, index: number) => `${page}:${index}`

const encode = ({ kek, keys }: Page): string => JSON.stringify([kek, ...keys])

/** `undefined`: there is none, or it was forgotten with its hour. Written by `encode` alone. */
function decode(text: string | undefined): Page | undefined {
  if (text === undefined) return undefined
  const [kek = '', ...keys] = JSON.parse(text) as readonly string[]
  return kek === '' ? undefined : { kek, keys }
}
