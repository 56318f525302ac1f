/** What is wrong with a rule, as data. */
import type { Grant } from '../model/registry.ts'

export interface Finding {
  /**
   * `contradiction`: an allow of which denies leave nothing. `constraints_contradict`: one of which another allow leaves
   * nothing; it still narrows that one. `shadowed`: says nothing that others do not. `never_matches`: no question is about it.
   */
  readonly kind: 'contradiction' | 'constraints_contradict' | 'shadowed' | 'never_matches'
  readonly severity: 'error' | 'warning'
  readonly grant: Grant
  /** Where it is written: `registry.yaml: grants[2].principals[0]`. */
  readonly path: string
  readonly says: string
  /** Ids of the grants that make it so, sorted. */
  readonly by: readonly string[]
  /** Absent: the whole grant. */
  readonly part?: { readonly member: 'principals' | 'resources'; readonly index: number }
}
