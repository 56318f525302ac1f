/**
 * JSON that means one thing to every reader (RFC 8259 §4, RFC 7493 I-JSON).
 *
 * Refuses what two parsers read differently, because an attacker picks the pair: duplicate member names (after unescaping:
 * `"alg"` and `"\u0061lg"` are one name), numbers no double holds exactly (1e400, 2^53), lone surrogates (which all hash
 * to the same bytes), trailing data, and nesting beyond `JSON_DEPTH_MAX`. `__proto__` is refused as a name: no
 * honest document uses it, and copying it by assignment would give the copy another prototype.
 * Time is linear in the text; the caller bounds the text.
 *
 * Nearly every honest document is written the way `JSON.stringify` writes. Such a text is its own proof: what was read and
 * written again is the same text only if no name was repeated (the copy would be shorter), every number is the double it was
 * read as, and no lone surrogate stands in it (it would come back escaped). All others are walked token by token.
 */
import { JSON_DEPTH_MAX } from '../kernel/limits.ts'
import { JwtError } from './jwt-error.ts'

/** @throws JwtError `malformed`; never shows any of the text. */
export function parseStrictJson(text: string): unknown {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // The platform's message quotes the input: it is dropped, not wrapped.
    throw new JwtError('malformed', 'the text is not JSON')
  }
  if (!isOwnProof(text, value)) {
    if (!text.isWellFormed()) throw new JwtError('malformed', 'JSON must not contain lone surrogates (RFC 7493)')
    scan(text)
  }
  return value
}

/** False proves nothing: the text is then scanned. An escape may hide a surrogate: such a text always is. */
function isOwnProof(text: string, value: unknown): boolean {
  // The rules first: JSON.stringify would follow any nesting, and run out of stack.
  return !text.includes('\\') && isWithinRules(value, JSON_DEPTH_MAX) && JSON.stringify(value) === text
}

/** What does not show in the comparison: nesting, the one forbidden name, and integers that are no longer exact. */
function isWithinRules(value: unknown, levels: number): boolean {
  if (typeof value === 'number') return !Number.isInteger(value) || Number.isSafeInteger(value)
  if (typeof value !== 'object' || value === null) return true
  if (levels === 0 || Object.hasOwn(value, '__proto__')) return false
  if (Array.isArray(value)) {
    for (const member of value) if (!isWithinRules(member, levels - 1)) return false
    return true
  }
  const members = value as Readonly<Record<string, unknown>>
  for (const name in members) if (!isWithinRules(members[name], levels - 1)) return false
  return true
}

/** A JSON object, not an array, null or scalar. */
export function isJsonObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** One entry per open bracket: the member names seen so far, or `undefined` for an array. */
type Open = Set<string> | undefined

/** Walks text that `JSON.parse` has already accepted, so only the rules above remain to be checked. */
function scan(text: string): void {
  const open: Open[] = []
  let nameExpected = false
  let at = 0
  while (at < text.length) {
    const end = endOfToken(text, at)
    const char = text[at]
    if (char === '"') checkString(text, at, end, nameExpected ? open.at(-1) : undefined)
    else if (char === '{' || char === '[') {
      if (open.length === JSON_DEPTH_MAX) throw new JwtError('malformed', `JSON nests deeper than ${JSON_DEPTH_MAX}`)
      open.push(char === '{' ? new Set() : undefined)
      nameExpected = char === '{'
    } else if (char === '}' || char === ']') open.pop()
    else if (char === ',') nameExpected = open.at(-1) !== undefined
    else if (char === ':') nameExpected = false
    else if (end - at > 1 || isDigit(text.charCodeAt(at))) checkNumber(text.slice(at, end))
    at = end
  }
}

function checkString(text: string, start: number, end: number, names: Open): void {
  const raw = text.slice(start + 1, end - 1)
  const escaped = raw.includes('\\')
  if (!escaped && names === undefined) return
  const content: string = escaped ? JSON.parse(text.slice(start, end)) : raw
  if (escaped && !content.isWellFormed()) {
    throw new JwtError('malformed', 'JSON must not contain lone surrogates (RFC 7493)')
  }
  if (names === undefined) return
  if (content === '__proto__') throw new JwtError('malformed', 'JSON must not name a member __proto__')
  if (names.has(content)) throw new JwtError('malformed', 'JSON must not repeat a member name (RFC 7493)')
  names.add(content)
}

function checkNumber(literal: string): void {
  const value = Number(literal)
  if (Number.isNaN(value)) return // true, false, null
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value))) {
    throw new JwtError('malformed', 'JSON numbers must be exact in a double (RFC 7493)')
  }
}

function endOfToken(text: string, start: number): number {
  const char = text.charCodeAt(start)
  let end = start + 1
  if (char === 0x22) {
    for (let code = text.charCodeAt(end); code !== 0x22; code = text.charCodeAt(end)) end += code === 0x5c ? 2 : 1
    return end + 1
  }
  if (!isBare(char)) return end
  while (end < text.length && isBare(text.charCodeAt(end))) end += 1
  return end
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39
}

/** Characters of numbers and of the three literal names. */
function isBare(code: number): boolean {
  return isDigit(code) || code === 0x2b || code === 0x2d || code === 0x2e || isLetter(code)
}

function isLetter(code: number): boolean {
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x7a
}
