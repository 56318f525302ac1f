/**
 * What a new version of the policy takes away, as the cut-offs that make it so: every token whose holder could do something under
 * the version before that decisions no longer give is concerned by one of them.
 *
 * Sessions end only where what they stand on is gone: an agent or user that is out of service, a credential, an issuer. Whatever
 * merely became less is asked for again: access tokens die, and each exchange is decided by the new version.
 */
import { EVERYTHING } from '../../authority/dimensions.ts'
import type { ResourceUrl } from '../../kernel/ids.ts'
import type { Registry } from '../../model/registry.ts'

export interface Versions {
  readonly before: Registry
  readonly after: Registry
  readonly environment: string
}

export type TakenDimension = 'agent' | 'agent_access' | 'user' | 'user_access' | 'resource' | 'issuer' | 'everything'

/** Cut-offs that one publication writes at most; beyond, the next wider dimension says it in one. */
const CUTOFFS_MAX = 500
/** What ends sessions, too. */
const ENDING: readonly TakenDimension[] = ['agent', 'user', 'issuer', 'everything']

export interface Taken {
  readonly dimension: TakenDimension
  readonly id: string
  /** For people. */
  readonly why: string
}

export class TakenAway {
  readonly #taken = new Map<string, Taken>()

  add(dimension: TakenDimension, id: string, why: string): void {
    const key = `${dimension} ${id}`
    if (!this.#taken.has(key)) this.#taken.set(key, { dimension, id, why })
  }

  resource(url: ResourceUrl, why: string): void {
    this.add('resource', url, why)
  }

  all(): readonly Taken[] {
    const taken = [...this.#taken.values()]
    const ended = (dimension: TakenDimension, id: string) => this.#taken.has(`${dimension} ${id}`)
    const needed = taken.filter(
      ({ dimension, id }) =>
        !(dimension === 'agent_access' && ended('agent', id)) && !(dimension === 'user_access' && ended('user', id)),
    )
    if (needed.length <= CUTOFFS_MAX) return needed
    const ending = needed.filter(({ dimension }) => ENDING.includes(dimension))
    if (ending.length > CUTOFFS_MAX) {
      return [{ dimension: 'everything', id: EVERYTHING, why: `${ending.length} agents, users or issuers` }]
    }
    const why = `${needed.length - ending.length} agents, users or resources`
    return [...ending, { dimension: 'resource', id: EVERYTHING, why }]
  }
}
