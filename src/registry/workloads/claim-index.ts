/**
 * Which rules a token's claims fulfil, without asking all of them: a platform may vouch for thousands of agents, and a token
 * of it is presented at every exchange.
 */
import type { ClaimRule, ClaimValue } from '../../model/workload.ts'

/** The value of a claim, as the token has it; `undefined`: it has none. */
export type ReadClaim = (path: readonly string[]) => unknown

interface Indexed<T> {
  readonly rules: readonly ClaimRule[]
  readonly found: T
}

export class ClaimIndex<T> {
  /** By a claim that a list of rules asks for, and by the value it asks for. */
  readonly #byClaim = new Map<string, { path: readonly string[]; byValue: Map<unknown, Indexed<T>[]> }>()

  /** @param rules at least one: no rules at all would be fulfilled by every token, so they are by none */
  add(rules: readonly ClaimRule[], found: T): void {
    const key = rules.find(({ path }) => path.length === 1 && path[0] === 'sub') ?? rules[0]
    if (key === undefined) return
    const name = JSON.stringify(key.path)
    const claim = this.#byClaim.get(name) ?? { path: key.path, byValue: new Map<ClaimValue, Indexed<T>[]>() }
    this.#byClaim.set(name, claim)
    const sameValue = claim.byValue.get(key.value) ?? []
    claim.byValue.set(key.value, sameValue)
    sameValue.push({ rules, found })
  }

  /** All whose every rule is fulfilled. */
  fulfilled(read: ReadClaim): readonly T[] {
    const matches: T[] = []
    for (const { path, byValue } of this.#byClaim.values()) {
      for (const { rules, found } of byValue.get(read(path)) ?? []) {
        if (rules.every((rule) => read(rule.path) === rule.value)) matches.push(found)
      }
    }
    return matches
  }
}
