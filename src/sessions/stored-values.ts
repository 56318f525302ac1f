/** Members of a stored tuple, read one by one: each is what was written there, or the record is at fault and grants nothing. */

/** Grants nothing; and it is ended by its id alone, since nobody can say what it holds. */
export class MalformedSession extends Error {}

export function malformed(what: string, how: string): MalformedSession {
  return new MalformedSession(`stored session is malformed: ${what} ${how}`)
}

/** Of this many members, or of so many up to `most`. */
export function tupleIn(value: unknown, what: string, least: number, most = least): readonly unknown[] {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    throw malformed(what, 'must have its members')
  }
  return value
}

export function textIn(value: unknown, what: string): string {
  if (typeof value !== 'string') throw malformed(what, 'must be text')
  return value
}

export function textsIn(value: unknown, what: string): readonly string[] {
  return tupleIn(value, what, 0, Number.POSITIVE_INFINITY).map((member) => textIn(member, what))
}

export function wholeIn(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value)) throw malformed(what, 'must be a whole number')
  return value as number
}

/** `null`: there is none. */
export function optional<T>(value: unknown, read: (value: unknown) => T): T | undefined {
  return value === null ? undefined : read(value)
}

/** What a caller may be told of its own request must not be told of what the broker itself has written. */
export function asFault<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw malformed(what, `cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`)
  }
}
