/** The contract of an outbox that is full: it refuses before anything is written, forgets nothing, and stops no end (H73). */
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/kernel/digest.ts'
import { newDecisionId, newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import { shardOf } from '../../src/kernel/shard.ts'
import type { Content } from '../../src/model/commit.ts'
import { OutboxFull, type Store } from '../../src/store/ports.ts'
import { add, commitOf, HOUR_MS, type OpenedStore, type OpenFresh, set } from './store-contract.ts'

const MAX = 20
const ENDS = 2

export function describeFullOutbox(name: string, openFresh: OpenFresh): void {
  describe(`${name}: a full outbox`, () => {
    let opened: OpenedStore
    /** Whatever is written here goes to one outbox. */
    let session: SessionId
    beforeEach(async () => {
      opened = await openFresh({ outboxMax: MAX })
      session = newSessionId()
    })
    afterEach(() => opened?.close())
    fullOutboxContract({
      store: () => opened.store,
      session: () => session,
      fill: async () => {
        for (let n = 0; n < MAX; n++) await opened.store.audit.append(session, `record ${n}`)
      },
    })
  })
}

interface Filled {
  readonly store: () => Store
  readonly session: () => SessionId
  readonly fill: () => Promise<void>
}

const content = (text: string): Content => ({ digest: sha256(text), text })
const RECORDS = Array.from({ length: MAX }, (_, n) => `record ${n}`)

function fullOutboxContract({ store, session, fill }: Filled): void {
  const records = async () => (await store().audit.latest(1_000)).map(({ record }) => record).toReversed()
  const makeRoom = async (left: number) => {
    for (const [outbox, entries] of await store().audit.pending(new Map(), 1_000)) {
      await store().audit.trim(outbox, entries.at(-left - 1)?.position ?? '')
    }
  }

  it('refuses another record, with what it would bring, and forgets none that it has', async () => {
    await fill()
    const id = newDecisionId()
    const refused = store().audit.append(session(), JSON.stringify({ id }), [content('named by it')])
    await expect(refused).rejects.toThrow(OutboxFull)
    expect(await records()).toEqual(RECORDS)
    expect(await store().audit.find(id)).toEqual([])
    expect(await store().audit.content(sha256('named by it'), session())).toBeUndefined()
    expect(await store().audit.usage()).toEqual({ records: MAX, limit: MAX })
  })

  it('takes no more than fit of any number that come at once', async () => {
    const all = Array.from({ length: 5 * MAX }, (_, n) => store().audit.append(session(), `at once ${n}`))
    const taken = (await Promise.allSettled(all)).filter(({ status }) => status === 'fulfilled')
    expect(taken).toHaveLength(MAX)
    expect(await records()).toHaveLength(MAX)
  })

  it('refuses a commit that brings a record, and nothing of it is there: it may be made later under the same id', async () => {
    const before = commitOf(session(), [set('a', '1'), add('n', 1)], { audit: 'granted' })
    await store().sessions.commit(before)
    await makeRoom(0)
    await fill()
    const commit = commitOf(session(), [set('a', '2'), add('n', 1)], { audit: 'more', contents: [content('of it')] })
    await expect(store().sessions.commit(commit)).rejects.toThrow(OutboxFull)
    expect(await store().sessions.readAll(session())).toEqual(
      new Map([
        ['a', '1'],
        ['n', '1'],
      ]),
    )
    expect(await store().audit.content(sha256('of it'), session())).toBeUndefined()
    // What was done before is answered as it was, and what could not be done anyway with the reason why.
    expect(await store().sessions.commit(before)).toEqual({ committed: true, repeated: true })
    const never = commitOf(session(), [], { audit: 'never', checks: [{ check: 'absent', field: 'a' }] })
    expect(await store().sessions.commit(never)).toEqual({ committed: false, failed: 0 })
    await makeRoom(MAX - 1)
    expect(await store().sessions.commit(commit)).toEqual({ committed: true, repeated: false })
    expect(await records()).toEqual([...RECORDS.slice(1), 'more'])
  })

  it('lets through what brings no record: marks of what has ended, cut-offs, claims, and records of strangers', async () => {
    await fill()
    await store().sessions.commit(commitOf(session(), [set('state', 'closed')]))
    expect((await store().sessions.readAll(session()))?.get('state')).toBe('closed')
    const cutoff = { entry: 'cutoff', dimension: 'session', id: session(), expiresAtMs: Date.now() + HOUR_MS } as const
    expect((await store().control.write([cutoff], 0)).seq).toBeGreaterThan(0)
    expect(await store().claims.claim(session(), 'nonce', Date.now() + HOUR_MS)).toBe(true)
    await store().audit.appendStrangers('a stranger')
    expect(await records()).toContain('a stranger')
  })

  it('takes the record of an end, of a tenth more than of anything else, and then none', async () => {
    await fill()
    await store().audit.append(session(), 'revoked', [], true)
    await store().sessions.commit(commitOf(session(), [set('state', 'closed')], { audit: 'undone', isEnd: true }))
    await expect(store().audit.append(session(), 'granted')).rejects.toThrow(OutboxFull)
    expect(await records()).toEqual([...RECORDS, 'revoked', 'undone'])
    expect(await store().audit.usage()).toEqual({ records: MAX + ENDS, limit: MAX })
    await expect(store().audit.append(session(), 'one too many', [], true)).rejects.toThrow(OutboxFull)
    const commit = commitOf(session(), [set('state', 'open')], { audit: 'one too many', isEnd: true })
    await expect(store().sessions.commit(commit)).rejects.toThrow(OutboxFull)
    expect((await store().sessions.readAll(session()))?.get('state')).toBe('closed')
  })

  it('lets no call begin, and every call that has begun end: with its outcome, or due until that can be recorded', async () => {
    const key = session()
    const due = Date.now() - 1
    const end = (audit: string | undefined) => ({
      over: undefined,
      ended: 'success',
      expiresAtMs: Date.now() + HOUR_MS,
      audit,
    })
    await store().calls.begin(key, 'begun before', due)
    await fill()
    expect(await store().calls.begin(key, 'again', due)).toEqual({ text: 'begun before', ended: undefined })
    const written = { text: 'begun before', ended: 'success', written: true }
    expect(await store().calls.end(key, end('outcome'))).toEqual(written)
    expect(await records()).toEqual([...RECORDS, 'outcome'])
    await makeRoom(0)
    const [refused, late] = sameOutbox(key)
    await store().calls.begin(late, 'begun before', due)
    await fill()
    await expect(store().calls.begin(refused, 'never', due)).rejects.toThrow(OutboxFull)
    expect(await store().calls.read(refused)).toBeUndefined()
    expect(await store().calls.due(Date.now(), 10)).toEqual([late])
    for (let n = 0; n < ENDS; n++) await store().audit.append(session(), `end ${n}`, [], true)
    await expect(store().calls.end(late, end('outcome'))).rejects.toThrow(OutboxFull)
    expect(await store().calls.read(late)).toEqual({ text: 'begun before', ended: undefined })
    expect(await store().calls.due(Date.now(), 10)).toEqual([late])
    // An end that brings no record needs no room.
    expect(await store().calls.end(late, end(undefined))).toEqual(written)
    expect(await store().calls.due(Date.now(), 10)).toEqual([])
  })
}

/** Keys of two calls in the outbox of a session. */
function sameOutbox(session: SessionId): readonly [string, string] {
  const shard = shardOf(session)
  const keys: string[] = []
  for (let n = 0; keys.length < 2; n++) if (shardOf(`call ${n}`) === shard) keys.push(`call ${n}`)
  return [keys[0] ?? '', keys[1] ?? '']
}
