/** One write to the control slot of a Redis: a script, and the replicas that must have it. */
import { checkWrites, entryText, POLICY_SLOT, slotOf } from './control-text.ts'
import { type ControlWrite, type ControlWritten, NotReplicated } from './ports.ts'
import type { RedisKeys } from './redis-keys.ts'
import type { RedisLink } from './redis-link.ts'

/** Events kept for followers; one that has fallen further behind takes a snapshot. */
export const EVENTS_MAX = 10_000

interface Where {
  readonly link: RedisLink
  readonly keys: RedisKeys
  /** The policy that must be published: `-`: none may be; absent: whatever is. */
  readonly after?: string
}

/** @returns `undefined` where another policy is published. @throws NotReplicated, StoreUnavailable */
export async function writeControl(
  writes: readonly ControlWrite[],
  floor: number,
  { link, keys, after = '' }: Where,
): Promise<ControlWritten | undefined> {
  checkWrites(writes, floor)
  const of = [keys.control('seq'), keys.control('entries'), keys.control('expiries'), keys.control('events')]
  const entries = writes.flatMap((write) => {
    const [entry = '', , , expires = '', newer = ''] = entryText(write, 0, 0).split(' ')
    return [slotOf(write), entry, expires, newer]
  })
  const answer = await link.script('errandControlWrite', of, [floor, EVENTS_MAX, after, POLICY_SLOT, ...entries])
  const [seq, atMs] = answer as [string, string]
  if (seq === '') return undefined
  const written = { seq: Number(seq), atMs: Number(atMs) }
  await link.standing(keys.control('seq')).catch((error: unknown) => {
    throw new NotReplicated(written, error)
  })
  return written
}
