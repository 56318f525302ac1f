/**
 * One argument's constraint, for which *admits*, *narrower* and *meet* are all exact.
 *
 * A parsed constraint is of one kind (a set of values, a number range, a text shape, a list length, or free) and admits at
 * least one value. Two spellings of one set are given one form (`minimum` = `maximum` is a `const`), so that a change of
 * spelling never passes for a narrowing.
 */
import { CONSTRAINT_STRING_CHARS_MAX, ENUM_MEMBERS_MAX } from '../kernel/limits.ts'
import type { ArgumentConstraint, Scalar } from './authority.ts'
import { type JsonObject, malformed, own, parseClosedObject, parseInteger } from './strict-object.ts'

const KIND = {
  const: 'values',
  enum: 'values',
  minimum: 'number',
  maximum: 'number',
  maxLength: 'text',
  prefix: 'text',
  maxItems: 'list',
} as const satisfies Record<keyof ArgumentConstraint, string>
const MEMBERS = Object.keys(KIND) as readonly (keyof ArgumentConstraint)[]

/** `{}`: any value, and the argument is optional. */
export function isFree(constraint: ArgumentConstraint): boolean {
  return MEMBERS.every((member) => constraint[member] === undefined)
}

function kindOf(constraint: ArgumentConstraint): (typeof KIND)[keyof typeof KIND] | undefined {
  const member = MEMBERS.find((name) => constraint[name] !== undefined)
  return member === undefined ? undefined : KIND[member]
}

/** Path traversal: a prefix bounds nothing once the rest can climb out of it, in plain form, backslashed or encoded. */
function climbs(text: string): boolean {
  return text.includes('..') || text.includes('\\') || text.includes('%')
}

/** JSON Schema counts code points, of at most two units each: what is much too long need not be walked. */
function isWithin(most: number, text: string): boolean {
  return text.length <= 2 * most && codePoints(text) <= most
}

function codePoints(text: string): number {
  let count = 0
  for (const _ of text) count++
  return count
}

function isNumber(value: unknown): value is number {
  return Number.isFinite(value)
}

export function admits(constraint: ArgumentConstraint, value: unknown): boolean {
  const { minimum, maximum, maxLength, prefix, maxItems } = constraint
  if (constraint.const !== undefined && value !== constraint.const) return false
  if (constraint.enum !== undefined && !(constraint.enum as readonly unknown[]).includes(value)) return false
  if (minimum !== undefined && !(isNumber(value) && value >= minimum)) return false
  if (maximum !== undefined && !(isNumber(value) && value <= maximum)) return false
  if (maxLength !== undefined && !(typeof value === 'string' && isWithin(maxLength, value))) return false
  if (prefix !== undefined && !(typeof value === 'string' && value.startsWith(prefix) && !climbs(value))) return false
  if (maxItems !== undefined && !(Array.isArray(value) && value.length <= maxItems)) return false
  return true
}

function valuesOf(constraint: ArgumentConstraint): readonly Scalar[] | undefined {
  return constraint.const === undefined ? constraint.enum : [constraint.const]
}

/** Whether everything `child` admits, `parent` admits. */
export function isNarrower(child: ArgumentConstraint, parent: ArgumentConstraint): boolean {
  const values = valuesOf(child)
  if (values !== undefined) return values.every((value) => admits(parent, value))
  if (valuesOf(parent) !== undefined) return false
  return (
    isRaised(child.minimum, parent.minimum) &&
    isLowered(child.maximum, parent.maximum) &&
    isLowered(child.maxLength, parent.maxLength) &&
    isLowered(child.maxItems, parent.maxItems) &&
    (parent.prefix === undefined || child.prefix?.startsWith(parent.prefix) === true)
  )
}

/** A bound the parent has and the child lacks was dropped, never kept. */
function isRaised(child = Number.NEGATIVE_INFINITY, parent = Number.NEGATIVE_INFINITY): boolean {
  return child >= parent
}

function isLowered(child = Number.POSITIVE_INFINITY, parent = Number.POSITIVE_INFINITY): boolean {
  return child <= parent
}

/** What both admit; `undefined` where that is nothing. */
export function meetArgument(a: ArgumentConstraint, b: ArgumentConstraint): ArgumentConstraint | undefined {
  const listed = valuesOf(a) === undefined ? b : a
  const values = valuesOf(listed)
  if (values !== undefined) {
    const left = values.filter((value) => admits(a, value) && admits(b, value))
    return left.length === values.length ? listed : ofValues(left)
  }
  if (isFree(a)) return b
  if (isFree(b)) return a
  if (kindOf(a) !== kindOf(b)) return undefined
  const prefix = longerPrefix(a.prefix, b.prefix)
  if (prefix === 'disjoint') return undefined
  return settle({
    minimum: extreme(Math.max, a.minimum, b.minimum),
    maximum: extreme(Math.min, a.maximum, b.maximum),
    maxLength: extreme(Math.min, a.maxLength, b.maxLength),
    maxItems: extreme(Math.min, a.maxItems, b.maxItems),
    prefix: prefix?.text,
  })
}

function extreme(pick: (a: number, b: number) => number, a: number | undefined, b: number | undefined) {
  return a === undefined ? b : b === undefined ? a : pick(a, b)
}

function longerPrefix(a: string | undefined, b: string | undefined): { text: string } | 'disjoint' | undefined {
  if (a === undefined) return b === undefined ? undefined : { text: b }
  if (b === undefined || a.startsWith(b)) return { text: a }
  return b.startsWith(a) ? { text: b } : 'disjoint'
}

function ofValues(values: readonly Scalar[]): ArgumentConstraint | undefined {
  const [first] = values
  if (first === undefined) return undefined
  return values.length === 1 ? { const: first } : { enum: values }
}

type Loose = { readonly [M in keyof ArgumentConstraint]?: ArgumentConstraint[M] | undefined }

const BOUNDS = ['minimum', 'maximum', 'maxLength', 'maxItems', 'prefix'] as const

/** The one form of a set that is spelled by bounds; `undefined` if it is empty. */
function settle(loose: Loose): ArgumentConstraint | undefined {
  const { minimum = Number.NEGATIVE_INFINITY, maximum = Number.POSITIVE_INFINITY } = loose
  if (minimum >= maximum) return minimum === maximum ? { const: minimum } : undefined
  const { prefix = '', maxLength = Number.POSITIVE_INFINITY } = loose
  const leastLength = codePoints(prefix)
  if (leastLength >= maxLength) return leastLength === maxLength ? { const: prefix } : undefined
  const settled: Record<string, unknown> = {}
  for (const member of BOUNDS) if (loose[member] !== undefined) settled[member] = loose[member]
  return settled
}

/**
 * @param path names the place in the document, for the message.
 * @throws Rejection `details_unknown` for a member outside the vocabulary; `details_malformed` for a value of the wrong type
 *   or out of bounds, for members that no one value could satisfy together, and for a `prefix` that can be climbed out of.
 */
export function parseArgumentConstraint(value: unknown, path: string): ArgumentConstraint {
  const object = parseClosedObject(value, path, MEMBERS)
  const present = MEMBERS.filter((member) => Object.hasOwn(object, member))
  const kinds = new Set(present.map((member) => KIND[member]))
  if (kinds.size > 1) throw malformed(path, `mixes ${present.join(' and ')}, which no one value can be held to`)
  if (kinds.has('values')) return parseValues(object, path)
  const constraint = settle({
    minimum: parseNumber(object, 'minimum', path),
    maximum: parseNumber(object, 'maximum', path),
    maxLength: parseCount(object, 'maxLength', path),
    maxItems: parseCount(object, 'maxItems', path),
    prefix: parsePrefix(own(object, 'prefix'), `${path}.prefix`),
  })
  if (constraint === undefined) throw malformed(path, 'admits no value at all')
  return constraint
}

function parseValues(object: JsonObject, path: string): ArgumentConstraint {
  if (!Object.hasOwn(object, 'enum')) return { const: parseScalar(own(object, 'const'), `${path}.const`) }
  if (Object.hasOwn(object, 'const')) throw malformed(path, 'has both const and enum: either says everything')
  const members = own(object, 'enum')
  if (!Array.isArray(members) || members.length === 0) throw malformed(`${path}.enum`, 'must be a non-empty array')
  if (members.length > ENUM_MEMBERS_MAX) throw malformed(`${path}.enum`, `exceeds ${ENUM_MEMBERS_MAX} members`)
  const values = members.map((member: unknown, index) => parseScalar(member, `${path}.enum[${index}]`))
  if (new Set(values).size !== values.length) throw malformed(`${path}.enum`, 'repeats a value')
  return { enum: values }
}

function parseScalar(value: unknown, path: string): Scalar {
  if (typeof value === 'string') return parseText(value, path)
  if (typeof value === 'number') return parseFinite(value, path)
  if (typeof value === 'boolean') return value
  throw malformed(path, 'must be a string, number or boolean')
}

function parseNumber(object: JsonObject, member: string, path: string): number | undefined {
  const value = own(object, member)
  if (value === undefined) return undefined
  if (typeof value !== 'number') throw malformed(`${path}.${member}`, 'must be a number')
  return parseFinite(value, `${path}.${member}`)
}

/** An integer that JSON readers round differently (RFC 8259 §6) would be one bound here and another at the server. */
function parseFinite(value: number, path: string): number {
  if (!Number.isFinite(value)) throw malformed(path, 'must be a finite number')
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) throw malformed(path, 'exceeds 2^53 - 1')
  return value + 0 // -0 is 0: they compare equal but are written differently
}

function parseCount(object: JsonObject, member: string, path: string): number | undefined {
  const value = own(object, member)
  return value === undefined ? undefined : parseInteger(value, `${path}.${member}`, 0)
}

function parseText(value: string, path: string): string {
  if (value.length > CONSTRAINT_STRING_CHARS_MAX) {
    throw malformed(path, `exceeds ${CONSTRAINT_STRING_CHARS_MAX} characters`)
  }
  if (!value.isWellFormed()) throw malformed(path, 'must be well-formed Unicode')
  return value
}

/** The empty prefix is refused: it reads as a restriction and restricts nothing. */
function parsePrefix(value: unknown, path: string): string | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'string' || value === '') throw malformed(path, 'must be a non-empty string')
  if (climbs(value)) throw malformed(path, 'must not contain .., a backslash or a percent sign (path traversal)')
  return parseText(value, path)
}
