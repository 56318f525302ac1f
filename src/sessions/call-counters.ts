/**
 * Where calls of a tool are counted (DESIGN §3, `limits.maxCalls`): each hop whose authority limits them counts those of its own
 * tokens and of all that it was passed on to. A limit is for each tool by itself, and for as long as the session lives.
 *
 * As many counters at most as there are hops with a limit, times the tools that were called there.
 */
import { sha256 } from '../kernel/digest.ts'
import type { ResourceUrl } from '../kernel/ids.ts'
import { Rejection } from '../kernel/rejection.ts'
import type { NodeFacts } from '../model/session.ts'
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
