/** OpenFGA's model language (schema 1.1), as far as its published cases use it. */

export type Expression =
  /** Who is named by tuples: `user`, `group#member`, `user:*`. */
  | { readonly kind: 'direct'; readonly types: readonly string[] }
  | { readonly kind: 'computed'; readonly relation: string }
  | { readonly kind: 'from'; readonly relation: string; readonly tupleset: string }
  | { readonly kind: 'or' | 'and' | 'but not'; readonly operands: readonly Expression[] }

/** By type and relation. */
export type Model = ReadonlyMap<string, ReadonlyMap<string, Expression>>

export function parseModel(text: string): Model {
  const model = new Map<string, Map<string, Expression>>()
  let relations = new Map<string, Expression>()
  for (const line of text.split('\n').map((one) => one.replace(/\s#.*$/, '').trim())) {
    const type = /^type (\S+)$/.exec(line)?.[1]
    if (type !== undefined) {
      relations = new Map()
      model.set(type, relations)
    }
    const [, relation, expression] = /^define ([^:]+): (.+)$/.exec(line) ?? []
    if (relation !== undefined && expression !== undefined) relations.set(relation.trim(), new Parser(expression).all())
  }
  return model
}

class Parser {
  readonly #tokens: string[]

  constructor(text: string) {
    this.#tokens = text.match(/\[[^\]]*\]|but not|[()]|[^\s()]+/g) ?? []
  }

  all(): Expression {
    const expression = this.#operands()
    if (this.#tokens.length > 0) throw new Error(`not read: ${this.#tokens.join(' ')}`)
    return expression
  }

  #operands(): Expression {
    const first = this.#term()
    const operator = this.#tokens[0]
    if (operator !== 'or' && operator !== 'and' && operator !== 'but not') return first
    const operands = [first]
    while (this.#tokens[0] === operator) {
      this.#tokens.shift()
      operands.push(this.#term())
    }
    return { kind: operator, operands }
  }

  #term(): Expression {
    const token = this.#tokens.shift()
    if (token === undefined) throw new Error('ends too early')
    if (token === '(') {
      const inner = this.#operands()
      if (this.#tokens.shift() !== ')') throw new Error('a parenthesis is not closed')
      return inner
    }
    if (token.startsWith('[')) {
      return {
        kind: 'direct',
        types: token
          .slice(1, -1)
          .split(',')
          .map((type) => type.trim()),
      }
    }
    if (this.#tokens[0] !== 'from') return { kind: 'computed', relation: token }
    const [, tupleset] = this.#tokens.splice(0, 2)
    return { kind: 'from', relation: token, tupleset: tupleset ?? '' }
  }
}
