/**
 * Reading untrusted JSON member by member: own properties only, nothing unknown passed over, no path or name echoed raw.
 *
 * Validates: shape, closed member sets, text and integer bounds.
 * Does not validate: that the text it came from was canonical JSON; the strict JSON parser has done that.
 */
import { NAME_CHARS_MAX, SHOWN_CHARS_MAX } from '../kernel/limits.ts'
import { Rejection } from '../kernel/rejection.ts'

export type JsonObject = Readonly<Record<string, unknown>>

/** An object as JSON gives it: no array, no class instance whose prototype could answer for absent members. */
export function isPlainObject(value: unknown): value is JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** An own member; `constructor` and its like, which every object inherits, are absent. */
export function own(object: JsonObject, member: string): unknown {
  return Object.hasOwn(object, member) ? object[member] : undefined
}

/**
 * A stranger's name inside a description: short, and within the characters RFC 6749 §5.2 allows there. What could be a token
 * put in the wrong place is not shown at all.
 */
export function shown(name: string): string {
  if (name.length > SHOWN_CHARS_MAX) return 'a long name'
  return `'${name.replace(/[^\x20\x21\x23-\x5b\x5d-\x7e]/g, '?')}'`
}

/** A stranger's name as a JSON value of its own: bounded, and in plain characters. */
export function plainName(name: string): string {
  return name.slice(0, NAME_CHARS_MAX).replace(/[^\x20-\x7e]/g, '?')
}

export function malformed(path: string, what: string): Rejection {
  return new Rejection('details_malformed', `${path} ${what}`)
}

export function parseObject(value: unknown, path: string): JsonObject {
  if (!isPlainObject(value)) throw malformed(path, 'must be an object')
  return value
}

/** @throws Rejection `details_unknown` for any member not listed: an unknown restriction that is ignored is a grant. */
export function parseClosedObject(value: unknown, path: string, members: readonly string[]): JsonObject {
  const object = parseObject(value, path)
  for (const member of Object.keys(object)) {
    if (!members.includes(member)) {
      throw new Rejection('details_unknown', `${path} has the unknown member ${shown(member)}`, {
        missing: [`${path} may have: ${members.join(', ')}`],
      })
    }
  }
  return object
}

/** Text that people will read: no control characters (log and terminal forgery), no bidirectional overrides. */
export function parseProse(value: unknown, path: string, charsMax: number): string {
  if (typeof value !== 'string' || value.trim() === '') throw malformed(path, 'must be a non-empty string')
  if (value.length > charsMax) throw malformed(path, `exceeds ${charsMax} characters`)
  if (!value.isWellFormed() || /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(value)) {
    throw malformed(path, 'must not contain control or direction-changing characters')
  }
  return value
}

export function parseInteger(value: unknown, path: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) {
    throw malformed(
      path,
      `must be an integer, ${most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `${least} to ${most}`}`,
    )
  }
  return (value as number) + 0
}
