/** By what an audit record is found again. */

/** A record begins with its id: `AuditDraft` writes it first. `redis-scripts.ts` holds the same in Lua. */
const NAMED = /^\{"id":"(dec_[A-Za-z0-9_-]{1,64})"/

/** `undefined`: it is no record that anybody looks up. */
export function recordName(record: string): string | undefined {
  return NAMED.exec(record)?.[1]
}
