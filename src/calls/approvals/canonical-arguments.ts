/**
 * The arguments of a call as one text for one meaning (as RFC 8785 writes JSON): what an approver reads, and what the retry is
 * compared by. Nothing is tidied up: texts that look alike and are written with other characters are other arguments.
 */
import { sha256 } from '../../kernel/digest.ts'
import { APPROVAL_ARGUMENTS_BYTES_MAX, JSON_DEPTH_MAX } from '../../kernel/limits.ts'
import { Rejection } from '../../kernel/rejection.ts'
import { canonicalJson } from '../../registry/canonical-json.ts'

export interface CanonicalArguments {
  readonly text: string
  /** SHA-256 of the text. */
  readonly digest: string
}

/**
 * The body was read strictly, so no name comes twice; whatever else two readers could take for different things is refused here.
 * @throws Rejection `approval_arguments`
 */
export function canonicalArguments(given: Readonly<Record<string, unknown>>): CanonicalArguments {
  assertPlain(given, JSON_DEPTH_MAX)
  const text = canonicalJson(given)
  if (Buffer.byteLength(text) > APPROVAL_ARGUMENTS_BYTES_MAX) {
    throw refused(`they have more than ${APPROVAL_ARGUMENTS_BYTES_MAX} bytes, and an approver has to read them`)
  }
  return { text, digest: sha256(text) }
}

function assertPlain(value: unknown, levels: number): void {
  if (value === null || typeof value === 'boolean') return
  if (typeof value === 'string') assertText(value)
  else if (typeof value === 'number') assertExact(value)
  else if (typeof value !== 'object') throw refused('they are not JSON')
  else if (levels === 0) throw refused('they nest too deep')
  else {
    for (const [name, member] of Object.entries(value)) {
      assertText(name)
      assertPlain(member, levels - 1)
    }
  }
}

function assertExact(value: number): void {
  const isExact = Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))
  if (!isExact) throw refused('a number in them is not exact in a double')
}

/** Every lone surrogate has the same bytes in UTF-8: two different texts would have one digest. */
function assertText(text: string): void {
  if (!text.isWellFormed()) throw refused('a text in them holds a lone surrogate')
}

function refused(why: string): Rejection {
  return new Rejection('approval_arguments', `these arguments cannot be approved: ${why}`)
}
