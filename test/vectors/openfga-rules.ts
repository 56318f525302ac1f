/**
 * What an OpenFGA relation asks for, in the words this policy has: somebody allowed by one of some tuples (grants of the
 * user), and by one of others (the manifest of the agent who asks), and denied by none of a third kind. What cannot be said
 * so is `Unsayable`, with the reason.
 */
import type { Expression, Model } from './openfga-model.ts'

export class Unsayable extends Error {}

/** Tuples of one relation, on the node `hops` above the one that is asked about, or with `open` anywhere from there up. */
export interface Leaf {
  readonly type: string
  readonly relation: string
  readonly types: readonly string[]
  readonly hops: number
  readonly open: boolean
}

export interface Rules {
  /** Each must hold, by one of its leaves. */
  readonly all: readonly (readonly Leaf[])[]
  /** None may hold. */
  readonly none: readonly Leaf[]
  /** Relations that say which node is above, and of what type: `type#relation parent`. */
  readonly tuplesets: ReadonlySet<string>
}

interface Frame {
  readonly key: string
  readonly hops: number
  recursive: boolean
}

export function rulesOf(model: Model, type: string, relation: string): Rules {
  return new Compiler(model).relation(type, relation)
}

class Compiler {
  readonly #model: Model
  readonly #stack: Frame[] = []
  #hops = 0

  constructor(model: Model) {
    this.#model = model
  }

  relation(type: string, relation: string): Rules {
    const expression = this.#model.get(type)?.get(relation)
    if (expression === undefined) throw new Unsayable('names what the model does not have')
    const key = `${type}#${relation}`
    const above = this.#stack.find((frame) => frame.key === key)
    if (above !== undefined) {
      if (above.hops === this.#hops) throw new Unsayable('is defined by itself')
      above.recursive = true
      return { all: [[]], none: [], tuplesets: new Set() }
    }
    const frame: Frame = { key, hops: this.#hops, recursive: false }
    this.#stack.push(frame)
    const rules = this.#expression(type, relation, expression)
    this.#stack.pop()
    if (!frame.recursive) return rules
    if (rules.all.length > 1 || rules.none.length > 0) throw new Unsayable('combines anew at each level')
    return { ...rules, all: rules.all.map((leaves) => leaves.map((leaf) => ({ ...leaf, open: true }))) }
  }

  #expression(type: string, relation: string, expression: Expression): Rules {
    switch (expression.kind) {
      case 'direct': {
        const leaf = { type, relation, types: expression.types, hops: this.#hops, open: false }
        return { all: [[leaf]], none: [], tuplesets: new Set() }
      }
      case 'computed':
        return this.relation(type, expression.relation)
      case 'from':
        return this.#from(type, expression.tupleset, expression.relation)
      default: {
        const operands = expression.operands.map((one) => this.#expression(type, relation, one))
        const [first, ...rest] = operands
        if (first === undefined) throw new Error('an operator of nothing')
        return rest.reduce(COMBINED[expression.kind], first)
      }
    }
  }

  #from(type: string, tupleset: string, relation: string): Rules {
    const parents = this.#model.get(type)?.get(tupleset)
    if (parents?.kind !== 'direct') throw new Unsayable('has nodes above that are computed')
    this.#hops += 1
    const types = parents.types.filter((parent) => this.#model.get(parent)?.has(relation))
    const above = types.map((parent) => this.relation(parent, relation))
    this.#hops -= 1
    const isOneSet = above.every(({ all, none }) => all.length === 1 && none.length === 0)
    if (above.length > 1 && !isOneSet) throw new Unsayable('combines by what kind of node is above')
    const none: Rules = { all: [[]], none: [], tuplesets: new Set() }
    const united = above.length === 1 ? (above[0] ?? none) : above.reduce(either, none)
    return {
      ...united,
      tuplesets: new Set([...united.tuplesets, ...types.map((parent) => `${type}#${tupleset} ${parent}`)]),
    }
  }
}

function either(a: Rules, b: Rules): Rules {
  if (a.none.length > 0 || b.none.length > 0) throw new Unsayable('allows what elsewhere is excluded: here a deny wins')
  const all = a.all.flatMap((left) => b.all.map((right) => [...left, ...right]))
  return { all, none: [], tuplesets: union(a, b) }
}

function both(a: Rules, b: Rules): Rules {
  return { all: [...a.all, ...b.all], none: [...a.none, ...b.none], tuplesets: union(a, b) }
}

function without(a: Rules, b: Rules): Rules {
  const [excluded, ...more] = b.all
  if (excluded === undefined || more.length > 0 || b.none.length > 0) throw new Unsayable('excludes by a condition')
  return { all: a.all, none: [...a.none, ...excluded], tuplesets: union(a, b) }
}

const COMBINED = { or: either, and: both, 'but not': without }

function union(a: Rules, b: Rules): ReadonlySet<string> {
  return new Set([...a.tuplesets, ...b.tuplesets])
}
