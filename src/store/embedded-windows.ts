/** Sliding windows in LMDB: who holds a place since when, one entry per window, read and written in one transaction. */

import type { WindowLimit, WindowStore } from './call-ports.ts'
import type { EmbeddedDatabase } from './embedded-database.ts'
import { segment } from './segment.ts'

/** Id and when it took its place, oldest first. */
type Places = readonly (readonly [string, number])[]

export class EmbeddedWindows implements WindowStore {
  readonly #database: EmbeddedDatabase

  constructor(database: EmbeddedDatabase) {
    this.#database = database
  }

  take(owner: string, id: string, windows: readonly WindowLimit[], lengthMs: number) {
    return this.#database.write(() => {
      const nowMs = this.#database.clock.nowMs()
      const held = windows.map(({ name, limit }) => {
        const places = this.#places(windowKey(owner, name)).filter(([, atMs]) => atMs > nowMs - lengthMs)
        return { name, limit, places, has: places.some(([holder]) => holder === id) }
      })
      const full = held.find(({ places, limit, has }) => !has && places.length >= limit)
      if (full !== undefined) {
        return { full: full.name, waitMs: (full.places[0]?.[1] ?? nowMs) + lengthMs - nowMs }
      }
      for (const { name, places, has } of held) {
        if (!has) this.#write(windowKey(owner, name), [...places, [id, nowMs]], nowMs + lengthMs)
      }
      return undefined
    })
  }

  async count(owner: string, names: readonly string[], lengthMs: number): Promise<readonly number[]> {
    return this.#database.read(() => {
      const since = this.#database.clock.nowMs() - lengthMs
      return names.map((name) => this.#places(windowKey(owner, name)).filter(([, atMs]) => atMs > since).length)
    })
  }

  release(owner: string, id: string, names: readonly string[]): Promise<void> {
    return this.#database.write(() => {
      for (const name of names) {
        const key = windowKey(owner, name)
        const found = this.#database.getExpiring(key)
        if (found === undefined) continue
        const left = parsePlaces(found.text).filter(([holder]) => holder !== id)
        this.#write(key, left, found.expiresAtMs)
      }
    })
  }

  #places(key: string): Places {
    const found = this.#database.getExpiring(key)
    return found === undefined ? [] : parsePlaces(found.text)
  }

  #write(key: string, places: Places, expiresAtMs: number): void {
    this.#database.putExpiring(key, expiresAtMs, JSON.stringify(places))
  }
}

function parsePlaces(text: string): Places {
  return JSON.parse(text) as Places
}

function windowKey(owner: string, name: string): string {
  return `window:${segment(owner)}:${segment(name)}`
}
