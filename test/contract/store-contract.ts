/**
 * The contract of `src/store/ports.ts`, as one suite run against every backend: sessions and commits, single-use ids,
 * indexes, expiry, odd text. Audit is in `audit-contract.ts`, the control slot in `control-contract.ts`, random histories
 * are in `store-model.ts`.
 */
import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { SessionId } from '../../src/kernel/ids.ts'
import { newNonce, newSessionId } from '../../src/kernel/ids.ts'
import { NODES_PER_SESSION_MAX } from '../../src/kernel/store-limits.ts'
import type { Check, Commit, Operation } from '../../src/model/commit.ts'
import type { Store } from '../../src/store/ports.ts'
import { PATIENCE_MS } from '../support/patience.ts'
import { callsContract } from './calls-contract.ts'
import { whileItLasts } from './while-it-lasts.ts'
import { windowsContract } from './windows-contract.ts'

export interface OpenedStore {
  readonly store: Store
  close(): Promise<void>
}

export interface FreshOptions {
  readonly org?: string
  readonly contentsMax?: number
  readonly outboxMax?: number
  readonly textsKeptMs?: number
}

/** A new, empty store. */
export type OpenFresh = (options?: FreshOptions) => Promise<OpenedStore>

export const HOUR_MS = 3_600_000

export function commitOf(session: string, operations: readonly Operation[], rest: Partial<Commit> = {}): Commit {
  return {
    session: session as SessionId,
    id: randomUUID(),
    checks: [],
    operations,
    expiresAtMs: Date.now() + HOUR_MS,
    audit: undefined,
    ...rest,
  }
}

export const set = (field: string, value: string): Operation => ({ operation: 'set', field, value })
export const add = (field: string, by: number): Operation => ({ operation: 'increment', field, by })

/** Field names and values that a careless encoding would bend. */
export const ODD_TEXTS = [
  '',
  '__proto__',
  'constructor',
  'toString',
  'line\nbreak\r\nand tab\t',
  'nul\u0000inside',
  '\u0000',
  'Ünïcödé 💡 漢字 \u202e\ufeff',
  '"quotes" \\ and {braces} [1] :colon|pipe',
  ' leading and trailing ',
  '*',
  '$1 %s',
  'x'.repeat(64 * 1024),
] as const

export function describeStore(name: string, openFresh: OpenFresh): void {
  describe(`${name}: the store contract`, () => {
    let opened: OpenedStore
    let store: Store
    beforeAll(async () => {
      opened = await openFresh()
      store = opened.store
    })
    afterAll(() => opened?.close())
    const current = (): Store => store

    it('opens for every organisation that a configuration may name', async () => {
      for (const org of ['-', '-x', '0', 'o'.repeat(32)]) {
        const { store: named, close } = await openFresh({ org })
        const session = newSessionId()
        await named.sessions.commit(commitOf(session, [set('a', org)], { audit: org }))
        expect(await named.sessions.readAll(session)).toEqual(new Map([['a', org]]))
        expect((await named.audit.latest(10)).map(({ record }) => record)).toEqual([org])
        await close()
      }
    })

    describe('sessions', () => sessionsContract(current))
    describe('checks of a commit', () => checksContract(current))
    describe('repeated commits', () => repeatsContract(current))
    describe('increments', () => incrementsContract(current))
    describe('single-use ids', () => claimsContract(current))
    describe('expiry', () => expiryContract(current))
    documentsContract(current)
    describe('windows', () => windowsContract(current, ODD_TEXTS[0]))
    describe('calls of tools', () => callsContract(current))
    describe('indexes', () => indexesContract(current))
  })
}

function sessionsContract(store: () => Store): void {
  it('says that a session nobody wrote does not exist, whatever is asked of it', async () => {
    const session = newSessionId()
    expect(await store().sessions.read(session, ['state'])).toBeUndefined()
    expect(await store().sessions.read(session, [])).toBeUndefined()
    expect(await store().sessions.readAll(session)).toBeUndefined()
  })

  it('answers the fields that exist among those asked for, and tells "none of these" from "no session"', async () => {
    const session = newSessionId()
    await store().sessions.commit(commitOf(session, [set('state', 'active'), set('node:1', 'n')]))
    expect(await store().sessions.read(session, ['node:1', 'gone', 'state'])).toEqual(
      new Map([
        ['node:1', 'n'],
        ['state', 'active'],
      ]),
    )
    expect(await store().sessions.read(session, ['gone'])).toEqual(new Map())
    expect(await store().sessions.read(session, [])).toEqual(new Map())
    expect((await store().sessions.readAll(session))?.size).toBe(2)
  })

  it('keeps what a commit does not name, and takes the last of two writes to one field', async () => {
    const session = newSessionId()
    await store().sessions.commit(commitOf(session, [set('a', '1'), set('b', '1')]))
    await store().sessions.commit(commitOf(session, [set('b', '2'), set('b', '3'), set('c', '1')]))
    expect(Object.fromEntries((await store().sessions.readAll(session)) ?? [])).toEqual({ a: '1', b: '3', c: '1' })
  })

  it.each(
    ODD_TEXTS.map((text) => [JSON.stringify(text).slice(0, 40), text] as const),
  )('keeps odd text as it is: %s', async (_, text) => {
    const session = newSessionId()
    await store().sessions.commit(commitOf(session, [set(text, text), set('plain', text)]))
    expect(await store().sessions.readAll(session)).toEqual(
      new Map([
        [text, text],
        ['plain', text],
      ]),
    )
    expect(await store().sessions.read(session, [text])).toEqual(new Map([[text, text]]))
    const checks: Check[] = [{ check: 'oneOf', field: text, values: ['no', text] }]
    expect(await store().sessions.commit(commitOf(session, [], { checks }))).toMatchObject({ committed: true })
  })

  it('keeps sessions with odd or similar ids apart', async () => {
    const ids = [...ODD_TEXTS, 'a:b', 'a', 'a:', ':a', 'A', '#a'].map((text) => `odd${text}`)
    await Promise.all(ids.map((id, n) => store().sessions.commit(commitOf(id, [set('n', String(n))]))))
    for (const [n, id] of ids.entries()) {
      expect(await store().sessions.readAll(id as SessionId)).toEqual(new Map([['n', String(n)]]))
    }
  })

  it('holds a session of as many nodes as the limits allow', async () => {
    const session = newSessionId()
    const nodes = Array.from({ length: NODES_PER_SESSION_MAX }, (_, n) => set(`node:${n}`, 'x'.repeat(300)))
    await store().sessions.commit(commitOf(session, nodes))
    expect((await store().sessions.readAll(session))?.size).toBe(NODES_PER_SESSION_MAX)
  })

  it('creates nothing when a commit has no operation', async () => {
    const session = newSessionId()
    expect(await store().sessions.commit(commitOf(session, []))).toEqual({ committed: true, repeated: false })
    expect(await store().sessions.readAll(session)).toBeUndefined()
  })
}

const HOLDS: readonly [string, Check, readonly (string | undefined)[], readonly (string | undefined)[]][] = [
  ['absent', { check: 'absent', field: 'f' }, [undefined], ['', '0', 'x']],
  ['present', { check: 'present', field: 'f' }, ['', '0', 'x'], [undefined]],
  ['oneOf', { check: 'oneOf', field: 'f', values: ['a', 'b'] }, ['a', 'b'], [undefined, '', 'c', 'A', 'ab']],
  ['oneOf of nothing', { check: 'oneOf', field: 'f', values: [] }, [], [undefined, '', 'a']],
  [
    'above',
    { check: 'above', field: 'f', value: 9 },
    ['10', '100', '9007199254740991', '0000000000000010'],
    [
      undefined,
      '9',
      '8',
      '-10',
      '',
      'x',
      '1e3',
      '00000000000000010',
      '10.5',
      ' 10',
      '10\n',
      '0x10',
      '+10',
      '9007199254740992',
      '99999999999999999',
      'Infinity',
    ],
  ],
  [
    'below',
    { check: 'below', field: 'f', value: 10 },
    [undefined, '9', '0', '-0', '-10', '-9007199254740991'],
    ['10', '11', '100', '', 'x', '9.5', '1e0', '-', '--1', '0x1', ' 9', 'NaN', '-9007199254740992', '-Infinity'],
  ],
]

function checksContract(store: () => Store): void {
  const outcomeOf = async (check: Check, value: string | undefined): Promise<boolean> => {
    const session = newSessionId()
    const operations = value === undefined ? [set('other', '1')] : [set('f', value)]
    await store().sessions.commit(commitOf(session, operations))
    const outcome = await store().sessions.commit(commitOf(session, [set('done', 'yes')], { checks: [check] }))
    const done = (await store().sessions.read(session, ['done']))?.has('done')
    expect(done).toBe(outcome.committed)
    return outcome.committed
  }

  it.each(HOLDS)('%s holds exactly where it should', async (_, check, holding, failing) => {
    for (const value of holding) expect([value, await outcomeOf(check, value)]).toEqual([value, true])
    for (const value of failing) expect([value, await outcomeOf(check, value)]).toEqual([value, false])
  })

  it('names the first check that failed, and then neither writes a field, nor moves the expiry, nor appends an audit record', async () => {
    const session = newSessionId()
    const audit = `failed ${randomUUID()}`
    await store().sessions.commit(commitOf(session, [set('state', 'revoked')]))
    const outcome = await store().sessions.commit(
      commitOf(session, [set('state', 'active'), add('leaves', 1)], {
        audit,
        checks: [
          { check: 'present', field: 'state' },
          { check: 'oneOf', field: 'state', values: ['active'] },
          { check: 'present', field: 'node' },
        ],
      }),
    )
    expect(outcome).toEqual({ committed: false, failed: 1 })
    expect(await store().sessions.readAll(session)).toEqual(new Map([['state', 'revoked']]))
    expect((await store().audit.latest(1_000)).map((entry) => entry.record)).not.toContain(audit)
  })

  it('checks against what was there before: an operation of the same commit cannot satisfy its own check', async () => {
    const checks: Check[] = [{ check: 'present', field: 'state' }]
    const outcome = await store().sessions.commit(commitOf(newSessionId(), [set('state', 'active')], { checks }))
    expect(outcome).toEqual({ committed: false, failed: 0 })
  })

  it('lets one of fifty commits with the same check through: a consumption happens once', async () => {
    const session = newSessionId()
    const checks: Check[] = [{ check: 'absent', field: 'consumed' }]
    const accept = (n: number) => store().sessions.commit(commitOf(session, [set('consumed', String(n))], { checks }))
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, n) => accept(n)))
    expect(outcomes.filter((outcome) => outcome.committed)).toHaveLength(1)
  })

  it('refuses bounds that are not integers before writing anything', async () => {
    const session = newSessionId()
    const checks: Check[] = [{ check: 'above', field: 'f', value: 0.5 }]
    await expect(store().sessions.commit(commitOf(session, [set('f', '1')], { checks }))).rejects.toThrow(TypeError)
    await expect(store().sessions.commit(commitOf(session, [add('f', Number.NaN)]))).rejects.toThrow(TypeError)
    expect(await store().sessions.readAll(session)).toBeUndefined()
  })
}

function repeatsContract(store: () => Store): void {
  it('performs a commit once, however often and however concurrently it is sent, and always answers as the first time', async () => {
    const session = newSessionId()
    const audit = `once ${randomUUID()}`
    const commit = commitOf(session, [add('leaves', 1)], { audit, checks: [{ check: 'absent', field: 'leaves' }] })
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => store().sessions.commit(commit)))
    outcomes.push(await store().sessions.commit(commit))
    expect(outcomes.every((outcome) => outcome.committed)).toBe(true)
    expect(outcomes.filter((outcome) => outcome.committed && !outcome.repeated)).toHaveLength(1)
    expect((await store().sessions.readAll(session))?.get('leaves')).toBe('1')
    expect((await store().audit.latest(1_000)).filter((entry) => entry.record === audit)).toHaveLength(1)
  })

  it('judges a commit that failed anew: nothing was written, so nothing is remembered', async () => {
    const session = newSessionId()
    const commit = commitOf(session, [set('b', '1')], { checks: [{ check: 'present', field: 'a' }] })
    expect(await store().sessions.commit(commit)).toEqual({ committed: false, failed: 0 })
    await store().sessions.commit(commitOf(session, [set('a', '1')]))
    expect(await store().sessions.commit(commit)).toEqual({ committed: true, repeated: false })
  })

  it('tells the same id in two sessions apart', async () => {
    const [one, other, id] = [newSessionId(), newSessionId(), randomUUID()]
    await store().sessions.commit(commitOf(one, [set('a', '1')], { id }))
    expect(await store().sessions.commit(commitOf(other, [set('a', '2')], { id }))).toEqual({
      committed: true,
      repeated: false,
    })
  })

  it('remembers odd ids as well', async () => {
    const session = newSessionId()
    for (const id of ODD_TEXTS) {
      await store().sessions.commit(commitOf(session, [add('n', 1)], { id }))
      await store().sessions.commit(commitOf(session, [add('n', 1)], { id }))
    }
    expect((await store().sessions.readAll(session))?.get('n')).toBe(String(ODD_TEXTS.length))
  })
}

function incrementsContract(store: () => Store): void {
  it('loses none of a hundred concurrent increments', async () => {
    const session = newSessionId()
    await Promise.all(Array.from({ length: 100 }, (_, n) => store().sessions.commit(commitOf(session, [add('n', n)]))))
    expect((await store().sessions.readAll(session))?.get('n')).toBe('4950')
  })

  it('starts at 0, sees what the same commit has set, and goes below zero and back to a plain 0', async () => {
    const session = newSessionId()
    await store().sessions.commit(
      commitOf(session, [add('a', 5), set('b', '7'), add('b', 1), add('b', 1), add('c', -2)]),
    )
    await store().sessions.commit(commitOf(session, [add('c', 2), set('d', '-0'), add('d', 0)]))
    expect(Object.fromEntries((await store().sessions.readAll(session)) ?? [])).toEqual({
      a: '5',
      b: '9',
      c: '0',
      d: '0',
    })
  })

  it.each([
    ['text', 'x'],
    ['nothing', ''],
    ['a fraction', '1.5'],
    ['the largest integer', '9007199254740991'],
  ])('refuses to increment %s, as a fault, and writes nothing of that commit', async (_, value) => {
    const session = newSessionId()
    const audit = `fault ${randomUUID()}`
    await store().sessions.commit(commitOf(session, [set('f', value)]))
    const commit = commitOf(session, [set('g', '1'), add('f', 1)], { audit })
    await expect(store().sessions.commit(commit)).rejects.toThrow(TypeError)
    expect(await store().sessions.readAll(session)).toEqual(new Map([['f', value]]))
    expect((await store().audit.latest(1_000)).map((entry) => entry.record)).not.toContain(audit)
  })

  it('lets a faulty commit harm none of those that share its transaction', async () => {
    const sessions = Array.from({ length: 20 }, () => newSessionId())
    const results = await Promise.allSettled(
      sessions.map((session, n) =>
        store().sessions.commit(commitOf(session, [set('f', 'x'), ...(n % 2 ? [add('f', 1)] : [])])),
      ),
    )
    for (const [n, session] of sessions.entries()) {
      expect(results[n]?.status).toBe(n % 2 ? 'rejected' : 'fulfilled')
      expect(await store().sessions.readAll(session)).toEqual(n % 2 ? undefined : new Map([['f', 'x']]))
    }
  })
}

function claimsContract(store: () => Store): void {
  const inAnHour = (): number => Date.now() + HOUR_MS

  it('gives a key to exactly one of fifty at once, and to that one again', async () => {
    const key = randomUUID()
    const expiresAtMs = inAnHour()
    const nonces = Array.from({ length: 50 }, newNonce)
    const won = await Promise.all(nonces.map((nonce) => store().claims.claim(key, nonce, expiresAtMs)))
    expect(won.filter(Boolean)).toHaveLength(1)
    const again = await Promise.all(nonces.map((nonce) => store().claims.claim(key, nonce, expiresAtMs)))
    expect(again).toEqual(won)
  })

  it('does not let another extend or take over a claim', async () => {
    const key = randomUUID()
    expect(await store().claims.claim(key, 'mine', inAnHour())).toBe(true)
    expect(await store().claims.claim(key, 'theirs', inAnHour() + HOUR_MS)).toBe(false)
    expect(await store().claims.claim(key, 'mine', inAnHour())).toBe(true)
  })

  it('keeps odd keys apart, also where one looks like the digest of another', async () => {
    for (const text of ODD_TEXTS) {
      expect(await store().claims.claim(`odd:${text}`, 'first', inAnHour())).toBe(true)
      expect(await store().claims.claim(`odd:${text}`, 'second', inAnHour())).toBe(false)
    }
  })

  it('refuses a claim that could not be kept: past its expiry nobody is the first', async () => {
    const key = randomUUID()
    for (const expiresAtMs of [Date.now() - 1_000, 0, -5]) {
      expect(await store().claims.claim(key, 'a', expiresAtMs)).toBe(false)
    }
    expect(await store().claims.claim(key, 'b', inAnHour())).toBe(true)
    await expect(store().claims.claim(key, 'b', Number.NaN)).rejects.toThrow(TypeError)
  })
}

function expiryContract(store: () => Store): void {
  /** Watches through the edge; a sample counts only where the store's clock was on one side before and after it. */
  const watch = async (
    expiresAtMs: number,
    exists: () => Promise<boolean>,
  ): Promise<{ before: number; after: number }> => {
    const seen = { before: 0, after: 0 }
    for (;;) {
      const from = (await store().ping()).nowMs
      const there = await exists()
      const to = (await store().ping()).nowMs
      if (to < expiresAtMs) expect(there).toBe(true)
      if (from >= expiresAtMs) expect(there).toBe(false)
      seen.before += to < expiresAtMs ? 1 : 0
      seen.after += from >= expiresAtMs ? 1 : 0
      if (from > expiresAtMs + 20) return seen
    }
  }

  it('is exclusive: a session is there before the millisecond of its expiry and gone in it', async () => {
    let session = newSessionId()
    let seen = { before: 0, after: 0 }
    // A machine that is too busy to look before its end looks at one that lasts longer.
    for (let lastsMs = 80; seen.before === 0 && lastsMs < PATIENCE_MS; lastsMs *= 3) {
      session = newSessionId()
      const expiresAtMs = Date.now() + lastsMs
      await store().sessions.commit(commitOf(session, [set('a', '1')], { expiresAtMs }))
      seen = await watch(expiresAtMs, async () => (await store().sessions.readAll(session)) !== undefined)
      expect(seen.after).toBeGreaterThan(0)
    }
    expect(seen.before).toBeGreaterThan(0)
    expect(await store().sessions.read(session, ['a'])).toBeUndefined()
    const checks: Check[] = [{ check: 'absent', field: 'a' }]
    expect(await store().sessions.commit(commitOf(session, [], { checks }))).toMatchObject({ committed: true })
  })

  it('frees a single-use id in the millisecond of its expiry, not before', async () => {
    for (let round = 0; round < 3; round++) {
      const { key, endsAtMs, isTaken } = await whileItLasts(async (endsAtMs) => {
        const key = randomUUID()
        return { key, endsAtMs, isTaken: await store().claims.claim(key, 'a', endsAtMs) }
      }, 60)
      expect(isTaken).toBe(true)
      // Once it is free the probe has it, and keeps being told so.
      const seen = await watch(endsAtMs, async () => !(await store().claims.claim(key, 'b', Date.now() + HOUR_MS)))
      expect(seen.after).toBeGreaterThan(0)
      expect(await store().claims.claim(key, 'a', Date.now() + HOUR_MS)).toBe(false)
    }
  })

  it('never moves backwards: a later commit with an earlier expiry shortens nothing', async () => {
    const session = newSessionId()
    await store().sessions.commit(commitOf(session, [set('a', '1')]))
    await store().sessions.commit(commitOf(session, [set('b', '1')], { expiresAtMs: Date.now() + 20 }))
    await store().sessions.commit(commitOf(session, [set('c', '1')], { expiresAtMs: 0 }))
    await new Promise((resolve) => setTimeout(resolve, 40))
    expect((await store().sessions.readAll(session))?.size).toBe(3)
  })

  it('moves forwards: a session lives as long as the longest of its commits says', async () => {
    const { session, over } = await whileItLasts(async (expiresAtMs) => {
      const session = newSessionId()
      await store().sessions.commit(commitOf(session, [set('a', '1')], { expiresAtMs }))
      await store().sessions.commit(commitOf(session, [set('b', '1')], { expiresAtMs: Date.now() + HOUR_MS }))
      return { session }
    }, 400)
    await over()
    expect((await store().sessions.readAll(session))?.size).toBe(2)
  })

  it('forgets at once what was expired when written', async () => {
    const session = newSessionId()
    const past = commitOf(session, [set('a', '1')], { expiresAtMs: Date.now() - 1 })
    expect(await store().sessions.commit(past)).toEqual({ committed: true, repeated: false })
    expect(await store().sessions.readAll(session)).toBeUndefined()
  })
}

function documentsContract(store: () => Store): void {
  describe('documents', () => {
    it('are absent until written, and replaced only by who has seen what is there', async () => {
      const { documents } = store()
      const name = newNonce()
      expect(await documents.read(name)).toBeUndefined()
      expect(await documents.replace(name, 'something', 'a')).toBe(false)
      expect(await documents.replace(name, '', 'a')).toBe(false)
      expect(await documents.read(name)).toBeUndefined()
      expect(await documents.replace(name, undefined, '')).toBe(true)
      expect(await documents.replace(name, undefined, 'b')).toBe(false)
      expect(await documents.read(name)).toBe('')
      for (const [before, after] of ODD_TEXTS.map((text, at) => [ODD_TEXTS[at - 1] ?? '', text] as const)) {
        expect(await documents.replace(name, before, after)).toBe(true)
        expect(await documents.read(name)).toBe(after)
      }
      expect(await documents.read(newNonce())).toBeUndefined()
    })

    it('are written by one of those who try at once', async () => {
      const { documents } = store()
      const name = newNonce()
      for (let round = 0; round < 10; round++) {
        const before = await documents.read(name)
        const texts = Array.from({ length: 8 }, (_, n) => `${round} ${n}`)
        const written = await Promise.all(texts.map((text) => documents.replace(name, before, text)))
        expect(written.filter(Boolean)).toHaveLength(1)
        expect(await documents.read(name)).toBe(texts[written.indexOf(true)])
      }
    })
  })
}

function indexesContract(store: () => Store): void {
  it('lists the unexpired, latest expiry first, and no more than asked for', async () => {
    const index = randomUUID()
    const now = Date.now()
    const order = [3, 1, 4, 10, 5, 9, 2, 6]
    await Promise.all(order.map((n) => store().indexes.add(index, `m${n}`, now + n * 60_000)))
    expect(await store().indexes.list(index, now, 100)).toEqual(['m10', 'm9', 'm6', 'm5', 'm4', 'm3', 'm2', 'm1'])
    expect(await store().indexes.list(index, now, 3)).toEqual(['m10', 'm9', 'm6'])
    expect(await store().indexes.list(index, now + 4 * 60_000, 100)).toEqual(['m10', 'm9', 'm6', 'm5'])
    expect(await store().indexes.list(index, now + HOUR_MS, 100)).toEqual([])
    expect(await store().indexes.list(index, now, 0)).toEqual([])
    expect(await store().indexes.list(randomUUID(), now, 100)).toEqual([])
    expect(await store().indexes.count(index, now, 100)).toBe(8)
    expect(await store().indexes.count(index, now, 3)).toBe(3)
    expect(await store().indexes.count(index, now + 4 * 60_000, 100)).toBe(4)
    expect(await store().indexes.count(randomUUID(), now, 100)).toBe(0)
  })

  it('holds a member once, at its latest expiry', async () => {
    const index = randomUUID()
    const now = Date.now()
    await store().indexes.add(index, 'a', now + 1_000)
    await store().indexes.add(index, 'b', now + 2_000)
    await store().indexes.add(index, 'a', now + 3_000)
    await store().indexes.add(index, 'a', now + 500)
    expect(await store().indexes.list(index, now, 100)).toEqual(['a', 'b'])
    expect(await store().indexes.list(index, now + 2_500, 100)).toEqual(['a'])
  })

  it('keeps odd members and the lists of odd names apart', async () => {
    const now = Date.now()
    for (const text of ODD_TEXTS) {
      await store().indexes.add(text, `in ${text}`, now + HOUR_MS)
      await store().indexes.add('odd members', text, now + HOUR_MS)
    }
    for (const text of ODD_TEXTS) expect(await store().indexes.list(text, now, 10)).toEqual([`in ${text}`])
    expect(new Set(await store().indexes.list('odd members', now, 100))).toEqual(new Set(ODD_TEXTS))
  })
}
