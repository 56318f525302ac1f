/**
 * Finds a rule that holds wherever and whenever another does, without looking at all of them: rules by principal, by form
 * (what else must be equal), by selector, and of those the one that is in force from early enough until longest.
 */
import { getOrInsertComputed } from '../kernel/maps.ts'
import type { Grant } from '../model/registry.ts'
import type { Tool, ToolSelector } from '../model/resource.ts'
import type { ReachedTool } from './tool-reach.ts'

/** A grant with when it is in force: from `from` until before `until`, epoch seconds. */
export interface Spanned {
  readonly grant: Grant
  /** In the order written: of two that say the same, the first is kept. */
  readonly position: number
  readonly from: number
  readonly until: number
}

/** The rules of one place. Asked only when all are there. */
export class Spans {
  #spans: Spanned[] = []
  /** For each of `#spans`: of it and those before it, the one that lasts longest. */
  #longest: Spanned[] | undefined

  add(span: Spanned): void {
    this.#spans.push(span)
  }

  /** One in force during all of `of`; among those that last equally long the one that begins, then the one written, first. */
  around(of: Spanned): Spanned | undefined {
    this.#longest ??= this.#sorted()
    let low = 0
    let high = this.#spans.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#spans[middle]?.from ?? 0) <= of.from) low = middle + 1
      else high = middle
    }
    const found = this.#longest[low - 1]
    return found !== undefined && found.until >= of.until ? found : undefined
  }

  #sorted(): Spanned[] {
    // Infinity - Infinity is not a number: compared, never subtracted.
    this.#spans.sort((a, b) => (a.from === b.from ? a.position - b.position : a.from < b.from ? -1 : 1))
    let longest: Spanned | undefined
    return this.#spans.map((span) => {
      if (longest === undefined || span.until > longest.until) longest = span
      return longest
    })
  }
}

export interface Place<V> {
  readonly principal: string
  readonly form: string
  readonly selector: number
  readonly value: V
}

export class Coverage<V> {
  readonly #make: () => V
  readonly #places = new Map<string, Map<string, Map<number, V>>>()

  constructor(make: () => V) {
    this.#make = make
  }

  at(principal: string, form: string, selector: number): V {
    const forms = getOrInsertComputed(this.#places, principal, () => new Map<string, Map<number, V>>())
    const selectors = getOrInsertComputed(forms, form, () => new Map<number, V>())
    return getOrInsertComputed(selectors, selector, this.#make)
  }

  *among(
    principals: readonly string[],
    forms: readonly string[],
    selectors: readonly number[],
  ): Generator<Place<V>, void> {
    for (const principal of principals) {
      const byForm = this.#places.get(principal)
      if (byForm === undefined) continue
      for (const form of forms) {
        const bySelector = byForm.get(form)
        if (bySelector === undefined) continue
        for (const selector of selectors) {
          const value = bySelector.get(selector)
          if (value !== undefined) yield { principal, form, selector, value }
        }
      }
    }
  }
}

/** The selectors that rules use, numbered, so that those as wide as another or wider are looked up by what they leave out. */
export class Selectors {
  readonly #ids = new Map<string, number>()
  /** By number: how many members it names. */
  readonly #members: number[] = []
  readonly #wider = new Map<string, readonly number[]>()
  readonly #ofTool = new Map<Tool, readonly number[]>()

  /** All are numbered before any is asked about. */
  number(selector: ToolSelector): number {
    const members = membersOf(selector)
    const key = JSON.stringify(members)
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#members.length
    this.#ids.set(key, id)
    this.#members.push(members.filter((member) => member !== undefined).length)
    return id
  }

  breadth(id: number): number {
    return this.#members[id] ?? 0
  }

  /** Those that select everything it selects: it without some of its members. */
  asWide(selector: ToolSelector): readonly number[] {
    const members = membersOf(selector)
    return getOrInsertComputed(this.#wider, JSON.stringify(members), () => this.#without(members))
  }

  /** Those that select the tool. */
  selecting({ resource, tool }: ReachedTool): readonly number[] {
    return getOrInsertComputed(this.#ofTool, tool, () => {
      const { id: server, project } = resource
      return this.#without(membersOf({ project, server, tool: tool.name, category: tool.category }))
    })
  }

  #without(members: readonly (string | undefined)[]): readonly number[] {
    const found = new Set<number>()
    for (let kept = 0; kept < 1 << members.length; kept += 1) {
      const id = this.#ids.get(JSON.stringify(members.map((member, at) => (kept & (1 << at) ? member : undefined))))
      if (id !== undefined) found.add(id)
    }
    return [...found]
  }
}

/** A member that selects everything is one left out. */
function membersOf({ project, server, tool, category }: ToolSelector): readonly (string | undefined)[] {
  return [project, server, tool].map((member) => (member === '*' ? undefined : member)).concat(category)
}
