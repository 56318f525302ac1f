/** Names that strangers choose (`kid`, `sub`, `jti`): short, visible in a log as they are, never empty. */
import { NAME_CHARS_MAX } from '../kernel/limits.ts'

// biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point (forged log lines).
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/

export function isName(value: unknown): value is string {
  return isNameWithin(value, NAME_CHARS_MAX)
}

/** Where names of another kind may be longer. */
export function isNameWithin(value: unknown, charsMax: number): value is string {
  return typeof value === 'string' && value !== '' && value.length <= charsMax && !CONTROL.test(value)
}
