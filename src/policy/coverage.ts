/**
 * Finds a rule that holds wherever and whenever another does, without looking at all of them: rules by principal, by form
 * (what else must be equal), by selector, and of those the one that is in force from early enough until longest.
 */
import { getOrInsertComputed } from '../kernel/maps.ts'
import type { Grant, Registry } from '../model/registry.ts'
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
    // They were added in the order written, and keep it where they begin together.
    this.#spans.sort((a, b) => a.from - b.from)
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

type Member = string | undefined

/** The selectors that rules use, numbered, so that those as wide as another or wider are looked up by what they leave out. */
export class Selectors {
  readonly #projects: ReadonlyMap<string, readonly string[]>
  readonly #containers: ReadonlyMap<string, readonly string[]>
  readonly #ids = new Map<string, number>()
  /** By number: how much it says. Less for each that selects more. */
  readonly #said: number[] = []
  readonly #wider = new Map<string, readonly number[]>()
  readonly #ofTool = new Map<Tool, Map<Member, readonly number[]>>()

  constructor({ projects, resources }: Pick<Registry, 'projects' | 'resources'>) {
    this.#projects = new Map(projects.map(({ id, lineage }) => [id, lineage]))
    this.#containers = new Map(
      resources.flatMap((resource) =>
        [...resource.containers.values()].map(({ id, lineage }) => [`${resource.id} ${id}`, lineage] as const),
      ),
    )
  }

  /** All are numbered before any is asked about. */
  number(selector: ToolSelector): number {
    const members = membersOf(selector)
    const key = JSON.stringify(members)
    const known = this.#ids.get(key)
    if (known !== undefined) return known
    const id = this.#said.length
    this.#ids.set(key, id)
    // Of a node of the tree it says as much as lies above it, and itself.
    this.#said.push(this.#widerMembers(members).reduce((sum, wider) => sum + wider.length, 0))
    return id
  }

  breadth(id: number): number {
    return this.#said[id] ?? 0
  }

  /** Those that select everything it selects: it without some of its members, or with nodes above the ones it names. */
  asWide(selector: ToolSelector): readonly number[] {
    const members = membersOf(selector)
    return getOrInsertComputed(this.#wider, JSON.stringify(members), () => this.#among(members))
  }

  /** Those that select the tool, used within `container` where there is one. */
  selecting({ resource, tool }: ReachedTool, container: Member): readonly number[] {
    const ofPlace = getOrInsertComputed(this.#ofTool, tool, () => new Map<Member, readonly number[]>())
    return getOrInsertComputed(ofPlace, container, () => {
      const { id: server, project } = resource
      return this.#among([project, server, tool.name, tool.category, container])
    })
  }

  #among(members: readonly Member[]): readonly number[] {
    const found = new Set<number>()
    for (const wider of combinations(this.#widerMembers(members))) {
      const id = this.#ids.get(JSON.stringify(wider))
      if (id !== undefined) found.add(id)
    }
    return [...found]
  }

  /** For each member what could stand in its place and select as much: itself, what is above it, and nothing at all. */
  #widerMembers(members: readonly Member[]): readonly (readonly Member[])[] {
    const server = members[1]
    return members.map((member, at) => {
      if (member === undefined) return [undefined]
      const above =
        at === 0 ? this.#projects.get(member) : at === 4 ? this.#containers.get(`${server} ${member}`) : undefined
      return [...(above ?? [member]), undefined]
    })
  }
}

function combinations(choices: readonly (readonly Member[])[]): readonly (readonly Member[])[] {
  return choices.reduce<readonly (readonly Member[])[]>(
    (begun, members) => begun.flatMap((one) => members.map((member) => [...one, member])),
    [[]],
  )
}

/** A member that selects everything is one left out. */
function membersOf({ project, server, tool, category, container }: ToolSelector): readonly Member[] {
  return [project, server, tool].map((member) => (member === '*' ? undefined : member)).concat(category, container)
}
