/**
 * What entries were decoded to, for the version after: an entry that is the same object says the same, and where all that it was
 * decoded with is the same, too, so is what became of it. Two versions in which little differs are made of the same objects:
 * nothing of them is made again, and whoever compares them finds most of it equal at a glance.
 *
 * Only what an entry says by itself is kept. Whether it may stand beside the others is found out anew for each version.
 */
import { getOrInsertComputed } from '../../kernel/maps.ts'
import type { Placed } from '../checks/placed-entries.ts'
import type { SectionName } from '../sections.ts'

interface Known {
  readonly placed: Placed<unknown>
  noun?: unknown
}

/** Of one version: filled while that is decoded, read while the next one is. */
export class DecodedEntries {
  /** By section, and as it was written: what is written alike says another thing in another section. */
  readonly #known = new Map<SectionName, Map<unknown, Known>>()
  /** By section, all that its entries were decoded with. */
  readonly #surroundings = new Map<SectionName, string>()
  #before: DecodedEntries | undefined

  /** @param before of a version that could be decoded */
  constructor(before?: DecodedEntries) {
    this.#before = before
  }

  /** By its schema, and where it stood. */
  before(section: SectionName, written: unknown): Placed<unknown> | undefined {
    return this.#before === undefined ? undefined : this.#before.#known.get(section)?.get(written)?.placed
  }

  add(section: SectionName, placed: Placed<unknown>): void {
    const known = getOrInsertComputed(this.#known, section, () => new Map<unknown, Known>())
    known.set(placed.written, { placed })
  }

  /**
   * What becomes of the entries of a section.
   * @param surroundings all beside an entry that it depends on, as one text
   */
  nouns<T>(section: SectionName, surroundings: string): (placed: Placed<unknown>, make: () => T) => T {
    const last = this.#before
    const isAsBefore = last !== undefined && last.#surroundings.get(section) === surroundings
    const before = isAsBefore ? last.#known.get(section) : undefined
    const known = this.#known.get(section)
    this.#surroundings.set(section, surroundings)
    return ({ written }, make) => {
      const noun = (before?.get(written)?.noun as T | undefined) ?? make()
      const now = known?.get(written)
      if (now !== undefined) now.noun = noun
      return noun
    }
  }

  /** All of it could be decoded, and what was before is of no more use. */
  complete(): void {
    this.#before = undefined
  }
}
