/**
 * The meaning of a commit's checks and operations, as the embedded store performs them. `redis-scripts.ts` says the same in
 * Lua; the contract suite and its model hold the two together.
 *
 * Guarantees: nothing is written here; a caller applies the returned changes only after every check has held and every
 * operation was possible.
 */
import { sha256 } from '../kernel/digest.ts'
import { unreachable } from '../kernel/rejection.ts'
import { CONTENT_BYTES_MAX, CONTENTS_PER_COMMIT_MAX } from '../kernel/store-limits.ts'
import { type Check, type Content, DigestedText, type Operation } from '../model/commit.ts'
import { checkedInteger, integerIn } from './bounds.ts'

/** Index of the first check that does not hold; -1: all hold. */
export function firstFailed(checks: readonly Check[], record: ReadonlyMap<string, string>): number {
  return checks.findIndex((check) => !holds(check, record.get(check.field)))
}

function holds(check: Check, text: string | undefined): boolean {
  switch (check.check) {
    case 'absent':
      return text === undefined
    case 'present':
      return text !== undefined
    case 'oneOf':
      return text !== undefined && check.values.includes(text)
    case 'above': {
      const value = integerIn(text)
      return value !== undefined && value > check.value
    }
    case 'below': {
      const value = integerIn(text)
      return text === undefined || (value !== undefined && value < check.value)
    }
    default:
      return unreachable(check)
  }
}

/** Operations take effect in order: an increment sees what a `set` before it wrote. */
export function changesOf(
  operations: readonly Operation[],
  record: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const changes = new Map<string, string>()
  for (const operation of operations) {
    if (operation.operation === 'set') {
      changes.set(operation.field, operation.value)
      continue
    }
    const old = integerIn(changes.get(operation.field) ?? record.get(operation.field) ?? '0')
    const sum = old === undefined ? Number.NaN : old + operation.by
    if (!Number.isSafeInteger(sum)) throw notAnInteger(operation.field)
    changes.set(operation.field, String(sum))
  }
  return changes
}

/** A fault of the caller, the same from both stores: nothing was written. */
export function notAnInteger(field: string): TypeError {
  return new TypeError(`the field ${JSON.stringify(field)} cannot be incremented: it is not a safe integer`)
}

/** Bounds must be integers, or the two stores could read them differently. */
export function checkBounds(checks: readonly Check[], operations: readonly Operation[]): void {
  for (const check of checks) {
    if (check.check === 'above' || check.check === 'below') checkedInteger(check.value, 'the bound of a check')
  }
  for (const operation of operations) {
    if (operation.operation === 'increment') checkedInteger(operation.by, 'an increment')
  }
}

/** A text under a digest that is not its own would make every record that names it lie, and keep the true one out. */
export function checkedContents(contents: readonly Content[] = []): readonly Content[] {
  if (contents.length > CONTENTS_PER_COMMIT_MAX) {
    throw new TypeError(`a commit stores at most ${CONTENTS_PER_COMMIT_MAX} contents`)
  }
  for (const content of contents) {
    const { digest, text } = content
    if (Buffer.byteLength(text) > CONTENT_BYTES_MAX) {
      throw new TypeError(`a content is at most ${CONTENT_BYTES_MAX} bytes`)
    }
    if (!(content instanceof DigestedText) && sha256(text) !== digest)
      throw new TypeError('a content is named by its own digest')
  }
  return contents
}
