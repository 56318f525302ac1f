/**
 * Fills a store with live sessions, as fast as the store takes them: copies of one that a broker has opened, written through the
 * store's own commit and into the three lists that each session is in. Their audit records are left out: those have a bound of
 * their own.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { sessionIndex } from '../../src/flows/flow.ts'
import type { Clock } from '../../src/kernel/clock.ts'
import { newJti, newNodeId, newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { USUAL_SIZE } from './company.ts'

export interface Template {
  /** The session's record, as the store reads it. */
  readonly fields: ReadonlyMap<string, string>
  /** What is another's in each copy. */
  readonly session: string
  readonly node: string
}

export const COPY_LIVES_MS = 6 * 3600 * 1000
const IN_FLIGHT = 128
/** A store that is filled at full speed is late now and then. */
const ATTEMPTS_MAX = 20
const ATTEMPT_AFTER_MS = 500

/** A session that was opened just now. @throws when the store does not know it */
export async function readTemplate(store: Store, session: string, node: string): Promise<Template> {
  const fields = await store.sessions.readAll(session as SessionId)
  if (fields === undefined || ![...fields.keys()].some((name) => name.includes(node))) {
    throw new Error('the session to copy is not in the store as expected')
  }
  return { fields, session, node }
}

export async function writeCopies(store: Store, template: Template, count: number, clock: Clock): Promise<void> {
  let left = count
  const work = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await writeCopy(store, template, left, clock.nowMs() + COPY_LIVES_MS)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, work))
}

async function writeCopy(
  store: Store,
  { fields, session, node }: Template,
  number: number,
  expiresAtMs: number,
): Promise<void> {
  const id = newSessionId()
  const root = newNodeId()
  const copy = (text: string) => text.replaceAll(session, id).replaceAll(node, root)
  const commit = {
    session: id,
    id: newJti(),
    checks: [],
    operations: [...fields].map(
      ([field, value]) => ({ operation: 'set', field: copy(field), value: copy(value) }) as const,
    ),
    expiresAtMs,
    audit: undefined,
  }
  await surely(() => store.sessions.commit(commit))
  const lists = [
    sessionIndex.all,
    sessionIndex.ofPrincipal(`agent:agent-${number % USUAL_SIZE.agents}`),
    sessionIndex.ofPrincipal(`user:corp:user-${number % USUAL_SIZE.users}`),
  ]
  await Promise.all(lists.map((list) => surely(() => store.indexes.add(list, id, expiresAtMs))))
}

/** Every write here may be repeated: a commit by its id, an entry of a list by itself. */
export async function surely(write: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await write()
      return
    } catch (fault) {
      if (!(fault instanceof StoreUnavailable) || attempt === ATTEMPTS_MAX) throw fault
      await sleep(ATTEMPT_AFTER_MS)
    }
  }
}
