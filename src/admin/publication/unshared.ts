/**
 * What two versions of the policy do not have in common. What did not change is the same object in both, or made of the same:
 * a comparison that leaves it out costs what has changed, and comes to the same.
 */
import { each, type Sliced } from '../../kernel/slices.ts'

export interface Unshared<T> {
  readonly before: readonly T[]
  readonly after: readonly T[]
}

/** In their order. @param nameOf no two entries of a list have the same */
export function* unshared<T extends object>(
  before: readonly T[],
  after: readonly T[],
  nameOf: (entry: T) => string,
): Sliced<Unshared<T>> {
  const common = Math.min(before.length, after.length)
  let first = 0
  for (; first < common && before[first] === after[first]; first += 1) yield
  let last = 0
  for (; last < common - first && before.at(-1 - last) === after.at(-1 - last); last += 1) yield
  const [were, are] = [before.slice(first, before.length - last), after.slice(first, after.length - last)]
  const named = new Map<string, T>()
  yield* each(were, (entry) => named.set(nameOf(entry), entry))
  const kept = new Set<T>()
  const others: T[] = []
  yield* each(are, (entry) => {
    const was = named.get(nameOf(entry))
    if (was !== undefined && isMadeOfTheSame(was, entry)) kept.add(was)
    else others.push(entry)
  })
  const gone: T[] = []
  yield* each(were, (entry) => {
    if (!kept.has(entry)) gone.push(entry)
  })
  return { before: gone, after: others }
}

/** Wherever they stand in their files. */
function isMadeOfTheSame(a: object, b: object): boolean {
  if (a === b) return true
  const members = Object.keys(a)
  return (
    members.length === Object.keys(b).length &&
    members.every((name) => name === 'at' || (name in b && a[name as keyof object] === b[name as keyof object]))
  )
}
