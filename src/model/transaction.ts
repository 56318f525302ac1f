/**
 * The piece of work that a session is: one id from what set it off to the last call downstream (RFC 8417 §2.2 `txn`, Transaction
 * Tokens for OAuth). It joins records and logs, and authorizes nothing: whoever starts the work may have chosen it.
 */
import type { SessionId } from '../kernel/ids.ts'

const TXN = /^[A-Za-z0-9._:~-]{1,64}$/

/** `undefined`: there is none, or it is not one that could stand in every token and every log line. */
export function parseTxn(value: unknown): string | undefined {
  return typeof value === 'string' && TXN.test(value) ? value : undefined
}

/** Of a session that nobody has given one: as random as its id, and not written down beside it. */
export function ownTxn(session: SessionId): string {
  return `txn_${session.slice('ses_'.length)}`
}
