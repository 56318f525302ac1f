/**
 * Where calls of a tool are counted (DESIGN §3, `limits.maxCalls`): each hop whose authority limits them counts those of its own
 * tokens and of all that it was passed on to. A limit is for each tool by itself, and for as long as the session lives.
 *
 * As many counters at most as there are hops with a limit, times the tools that were called there.
 */
import { sha256 } from '../kernel/digest.ts'
import type { NodeId, ResourceUrl } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { Operation } from '../model/commit.ts'
import type { NodeFacts } from '../model/session.ts'
import { alive, type GuardedCheck, last, nodeDead, type ReadSession, type SessionChange } from './session-commits.ts'
import { FIELD } from './session-record.ts'

/** One field of the session's record, and what it may come to. */
export interface CallCounter {
  readonly field: string
  readonly max: number
}

/** Names are as long as their servers like, and every counter is one more field of a session's record. */
const NAME_CHARS = 16

/** @param path the hops down to the one that the token is of, root first */
export function callCounters(path: readonly NodeFacts[], url: ResourceUrl, tool: string): readonly CallCounter[] {
  const name = sha256(JSON.stringify([url, tool])).slice(0, NAME_CHARS)
  return path.flatMap(({ id, authority }) => {
    const max = authority.resources.get(url)?.limits.maxCalls
    return max === undefined ? [] : [{ field: FIELD.counted(id, name), max }]
  })
}

export function callsExhausted(): Rejection {
  return new Rejection(
    'calls_exhausted',
    'all calls of this tool that the session was opened or passed on for are made',
  )
}

/**
 * A call of a tool, with a token issued from the last hop: counted wherever it is limited, at that hop or at one above it, so that
 * passing work on never makes more calls of it.
 */
export function countCall(
  { facts, state }: ReadSession,
  path: readonly NodeId[],
  { jti, counters, now }: { readonly jti: string; readonly counters: readonly CallCounter[]; readonly now: number },
): SessionChange {
  return {
    session: facts.id,
    checks: [
      ...alive(state, path, now),
      { check: { check: 'absent', field: FIELD.revoked(jti) }, refusal: nodeDead },
      ...counters.map(({ field, max }): GuardedCheck => {
        return { check: { check: 'below', field, value: max }, refusal: callsExhausted }
      }),
    ],
    operations: [
      { operation: 'increment', field: FIELD.calls(last(path)), by: 1 },
      ...counters.map(({ field }): Operation => ({ operation: 'increment', field, by: 1 })),
    ],
    notAfter: facts.notAfter,
  }
}
