/** What commands write for other programs: JSON, and a token where that was asked for. */
import type { Secret } from '../kernel/secret.ts'
import type { Io } from './io.ts'

/** Without a line's end where it is piped: `curl --data-urlencode name@-` would send it along. */
export function writeToken(token: Secret, io: Io): void {
  io.out(io.outIsTerminal ? `${token.reveal()}\n` : token.reveal())
}

export function writeJson(value: unknown, io: Io): void {
  io.out(`${jsonText(value, 2)}\n`)
}

/** The same JSON to a program, unable to move the cursor of a person: `JSON.stringify` escapes the first 32 characters alone. */
export function jsonText(value: unknown, indent = 0): string {
  return JSON.stringify(value, undefined, indent).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
