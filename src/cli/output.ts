/** What commands write for other programs: JSON, and a token where that was asked for. */
import type { Secret } from '../kernel/secret.ts'
import type { Io } from './io.ts'

/** Without a line's end where it is piped: `curl --data-urlencode name@-` would send it along. */
export function writeToken(token: Secret, io: Io): void {
  io.out(io.outIsTerminal ? `${token.reveal()}\n` : token.reveal())
}

export function writeJson(value: unknown, io: Io): void {
  io.out(`${JSON.stringify(value, undefined, 2)}\n`)
}
