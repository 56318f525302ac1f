/**
 * An OpenFGA check as a question: objects are containers of one server, with the node above them as parent; tuples that a
 * relation asks for are grants, entries of an agent's manifest, and denies (`openfga-rules.ts`).
 */
import type { Decision } from '../../src/model/decision.ts'
import { decide } from '../../src/policy/decide.ts'
import { decodeRegistry } from '../../src/registry/load-registry.ts'
import { authorityOf, forUser, question, type Raw } from '../unit/policy/world.ts'
import type { Model } from './openfga-model.ts'
import { type Leaf, type Rules, rulesOf, Unsayable } from './openfga-rules.ts'

export interface Tuple {
  readonly object: string
  readonly relation: string
  readonly user: string
}

const SERVER = 'https://fga.example/mcp'

/** @throws Unsayable */
export function checked(model: Model, tuples: readonly Tuple[], check: Tuple): Decision {
  if (/[#*]/.test(check.user)) throw new Unsayable('asks about a set of users')
  const rules = rulesOf(model, typeOf(check.object), check.relation)
  const [allowing, alsoAllowing, ...more] = rules.all
  if (allowing === undefined || more.length > 0) throw new Unsayable('needs more than two conditions at once')
  const parents = parentsOf(rules, tuples)
  const line = lineOf(check.object, parents)
  const naming = (leaves: readonly Leaf[]) => leaves.flatMap((leaf) => named(leaf, tuples, line))
  const groups = new Groups(model, tuples)
  const grants = (effect: string, leaves: readonly Leaf[]) =>
    naming(leaves).map(({ user, object }, index) => ({
      id: `${effect}-${index}`,
      effect,
      principals: [/[#*]/.test(user) ? { group: groups.name(user) } : { user: `fga:${user}` }],
      resources: [within(object)],
    }))
  const written = [...grants('allow', allowing), ...grants('deny', rules.none)]
  const entries =
    alsoAllowing === undefined
      ? [{ server: 'fga' }]
      : naming(alsoAllowing)
          .filter(({ user }) => user === check.user || groups.has(user, check.user))
          .map(({ object }) => within(object))
  const objects = new Set([check.object, ...tuples.map(({ object }) => object), ...parents.keys(), ...parents.values()])
  const users = new Set(['alice', check.user, ...tuples.map(({ user }) => user).filter((user) => !/[#*]/.test(user))])
  const registry = decodeRegistry(
    {
      issuers: [{ issuer: 'https://idp.example', slug: 'fga', jwks_uri: 'https://idp.example/jwks' }],
      users: [...users].map((sub) => ({ issuer: 'fga', sub, groups: groups.of(sub) })),
      resources: [
        {
          id: 'fga',
          url: SERVER,
          owner: 'fga',
          tools: { use: { category: 'read' } },
          containers: [...objects].filter(isNode).map((object) => {
            const parent = parents.get(object)
            return { id: idOf(object), type: typeOf(object), ...(parent === undefined ? {} : { parent: idOf(parent) }) }
          }),
        },
      ],
      agents: [{ client_id: 'orchestrator', owner: 'fga', environment: 'production', manifest: entries }],
      grants: written,
    },
    'openfga.yaml',
    { issuer: 'https://errand.example' },
  )
  const asked = question(registry, {}, forUser(registry, check.user))
  return decide(registry, {
    ...asked,
    asked: authorityOf(registry, { [SERVER]: { use: {} } }),
    container: idOf(check.object),
  })
}

/** Tuples of the leaf. What lies lower inherits them all: a relation that reaches less far is not ours. */
function named(leaf: Leaf, tuples: readonly Tuple[], line: readonly string[]): readonly Tuple[] {
  const found = tuples.filter(
    ({ object, relation, user }) =>
      typeOf(object) === leaf.type && relation === leaf.relation && leaf.types.includes(restrictionOf(user)),
  )
  for (const { object } of found) {
    const at = line.indexOf(object)
    if (at >= 0 && !(leaf.open ? at >= leaf.hops : at === leaf.hops)) throw new Unsayable('is inherited in part')
  }
  return found
}

function parentsOf({ tuplesets }: Rules, tuples: readonly Tuple[]): ReadonlyMap<string, string> {
  const parents = new Map<string, string>()
  for (const { object, relation, user } of tuples) {
    if (!tuplesets.has(`${typeOf(object)}#${relation} ${restrictionOf(user)}`)) continue
    const known = parents.get(object)
    if (known !== undefined && known !== user) throw new Unsayable('has nodes with several above them')
    parents.set(object, user)
  }
  return parents
}

/** The object and what is above it. */
function lineOf(object: string, parents: ReadonlyMap<string, string>): readonly string[] {
  const line: string[] = []
  for (let next: string | undefined = object; next !== undefined; next = parents.get(next)) {
    if (line.includes(next)) throw new Unsayable('has a node below itself')
    line.push(next)
  }
  return line
}

/** `user:*`, everybody, is a group that every user is in. */
class Groups {
  readonly #members = new Map<string, Set<string>>()
  readonly #model: Model
  readonly #tuples: readonly Tuple[]

  constructor(model: Model, tuples: readonly Tuple[]) {
    this.#model = model
    this.#tuples = tuples
  }

  /** Of a plain group: one whose members are named one by one. */
  name(userset: string): string {
    if (this.#members.has(userset) || userset.endsWith(':*')) return userset
    const [object = '', relation = ''] = userset.split('#')
    const direct = this.#model.get(typeOf(object))?.get(relation)
    const members = this.#tuples.filter((tuple) => tuple.object === object && tuple.relation === relation)
    if (direct?.kind !== 'direct' || members.some(({ user }) => /[#*]/.test(user))) {
      throw new Unsayable('has groups that are not plain lists of users')
    }
    const listed = members.filter(({ user }) => direct.types.includes(restrictionOf(user)))
    this.#members.set(userset, new Set(listed.map(({ user }) => user)))
    return userset
  }

  has(userset: string, user: string): boolean {
    if (userset === `${typeOf(user)}:*`) return true
    return userset.includes('#') && this.#members.get(this.name(userset))?.has(user) === true
  }

  of(user: string): readonly string[] {
    const listing = [...this.#members].filter(([, members]) => members.has(user)).map(([group]) => group)
    return [`${typeOf(user)}:*`, ...listing]
  }
}

function within(object: string): Raw {
  return { server: 'fga', container: idOf(object) }
}

function idOf(object: string): string {
  return object.replaceAll(/[:/]/g, '.')
}

function typeOf(object: string): string {
  return object.slice(0, object.indexOf(':'))
}

/** Not a set of users, nor a name that is none. */
function isNode(object: string): boolean {
  return /^[\w-]+:[\w./-]+$/.test(object)
}

/** How a type restriction writes such a user. */
function restrictionOf(user: string): string {
  const [object = '', relation] = user.split('#')
  if (relation !== undefined) return `${typeOf(object)}#${relation}`
  return user.endsWith(':*') ? user : typeOf(user)
}
