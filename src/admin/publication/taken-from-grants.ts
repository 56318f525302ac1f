/**
 * What a new version takes away by its grants: where one that allowed is gone, where one denies, and where one that narrows came.
 * Grants are compared by what they say, never by their ids, nor by their order.
 */
import { isUnconstrained } from '../../authority/constraints.ts'
import { each, type Sliced } from '../../kernel/slices.ts'
import type { Grant, PrincipalSelector } from '../../model/registry.ts'
import type { Resource, ToolSelector } from '../../model/resource.ts'
import { principalKey } from '../../policy/grant-index.ts'
import { selects } from '../../policy/selector.ts'
import { type ReachedTool, ToolReach } from '../../policy/tool-reach.ts'
import { fingerprint } from './fingerprint.ts'
import type { TakenAway, Versions } from './taken.ts'
import type { Unshared } from './unshared.ts'

/** Grants that name single users and so few of them cost those users their tokens, and not everybody at the resource. */
const USERS_MAX = 16

/** Whether bearing a name in this grant can cost something: all that match are intersected, and lives end with the first. */
export function canNarrow({ effect, constraints, when }: Grant): boolean {
  return effect === 'deny' || !isUnconstrained(constraints) || when.notAfter !== undefined
}

/** @param changes the grants that only one of the versions has */
export function* takenByGrants(versions: Versions, changes: Unshared<Grant>, taken: TakenAway): Sliced<undefined> {
  const { before, after } = versions
  // What a grant of both says is looked at where one that changed may say the same.
  const principals = new Set<string>()
  yield* each([...changes.before, ...changes.after], (grant) => principals.add(principalsKey(grant)))
  if (principals.size === 0) return
  const said = yield* sayings(before.grants, principals)
  const says = yield* sayings(after.grants, principals)
  const concerned = new Concerned(versions, taken)
  for (const [saying, grant] of said) {
    if (!says.has(saying) && grant.effect === 'allow') concerned.by(grant, `grant ${grant.id}: it allowed more`)
    yield
  }
  const reach = new ToolReach(before.resources)
  let had: ReadonlySet<ReachedTool> | undefined
  for (const [saying, grant] of says) {
    yield
    if (said.has(saying) || !canNarrow(grant)) continue
    if (!narrowsAlways(grant)) {
      had ??= yield* allowedToUsers(before.grants, reach)
      if (!reaches(grant, had, reach)) continue
    }
    concerned.by(grant, `grant ${grant.id}: it narrows`)
  }
}

/** Of the grants to these principals. */
function* sayings(grants: readonly Grant[], named: ReadonlySet<string>): Sliced<ReadonlyMap<string, Grant>> {
  const said = new Map<string, Grant>()
  for (const grant of grants) {
    yield
    const key = principalsKey(grant)
    if (!named.has(key)) continue
    const {
      effect,
      principals: _principals,
      resources,
      when,
      constraints,
      id: _id,
      at: _at,
      reason: _,
      ...rest
    } = grant
    const selectors = resources.map(fingerprint).sort()
    said.set(fingerprint([effect, key, selectors, when, constraints, rest]), grant)
  }
  return said
}

/** The same for grants to the same principals, in any order. */
function principalsKey({ principals }: Grant): string {
  return JSON.stringify(principals.map(principalKey).sort())
}

/** An allow that holds what it allows to something narrows those who were allowed it by another; on an agent it always narrows. */
export function narrowsAlways({ effect, principals }: Grant): boolean {
  return effect === 'deny' || principals.some((one) => 'agent' in one || 'owner' in one)
}

/** What allows that bear users reach, found once: each grant that narrows would go through all the others again. */
function* allowedToUsers(grants: readonly Grant[], reach: ToolReach): Sliced<ReadonlySet<ReachedTool>> {
  const had = new Set<ReachedTool>()
  yield* each(grants, (grant) => {
    if (grant.effect !== 'allow' || !bearsUsers(grant)) return
    for (const selector of grant.resources) for (const reached of reach.of(selector)) had.add(reached)
  })
  return had
}

function reaches({ resources }: Grant, tools: ReadonlySet<ReachedTool>, reach: ToolReach): boolean {
  return resources.some((selector) => reach.of(selector).some((reached) => tools.has(reached)))
}

function bearsUsers({ principals }: Grant): boolean {
  return principals.some((one) => !('agent' in one || 'owner' in one))
}

/** Whom a grant concerns, found once for each selector. */
class Concerned {
  readonly #resources: readonly Resource[]
  readonly #reached = new Map<string, readonly Resource[]>()
  readonly #taken: TakenAway

  constructor({ before, after }: Versions, taken: TakenAway) {
    this.#resources = [...before.resources, ...after.resources]
    this.#taken = taken
  }

  by({ principals, resources }: Grant, why: string): void {
    const users = principals.flatMap((one: PrincipalSelector) => ('user' in one ? [one.user] : []))
    if (users.length === principals.length && users.length <= USERS_MAX) {
      for (const user of users) this.#taken.add('user_access', `user:${user}`, why)
      return
    }
    for (const selector of resources) for (const { url } of this.#reachedBy(selector)) this.#taken.resource(url, why)
  }

  #reachedBy(selector: ToolSelector): readonly Resource[] {
    const key = fingerprint(selector)
    const known = this.#reached.get(key)
    if (known !== undefined) return known
    const reached = this.#resources.filter((resource) =>
      [...resource.tools.values()].some((tool) => selects(selector, resource, tool)),
    )
    this.#reached.set(key, reached)
    return reached
  }
}
