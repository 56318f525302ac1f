/**
 * Random histories of every operation, against a naive model in memory that shares no code with either store: what both
 * stores and the model agree on is what `ports.ts` says.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../src/kernel/digest.ts'
import type { SessionId } from '../../src/kernel/ids.ts'
import type { Check, Commit, Operation } from '../../src/model/commit.ts'
import { type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { HOUR_MS, type OpenFresh } from './store-contract.ts'

interface Model {
  readonly sessions: Map<string, Map<string, string>>
  readonly performed: Set<string>
  readonly claims: Map<string, string>
  readonly audit: string[]
  /** Texts by session. */
  readonly contents: Map<string, Set<string>>
  readonly indexes: Map<string, Map<string, number>>
  readonly cutoffs: Map<string, { seq: number; expiresAtMs: number }>
  seq: number
}

const emptyModel = (): Model => ({
  sessions: new Map(),
  performed: new Set(),
  claims: new Map(),
  audit: [],
  contents: new Map(),
  indexes: new Map(),
  cutoffs: new Map(),
  seq: 0,
})

/** One start for all times of a run: far enough away that nothing expires while it lasts. */
const soon = Date.now() + HOUR_MS

const session = fc.constantFrom('one', 'two', 'Ω three') as fc.Arbitrary<SessionId>
// Some look like the names and values that a store keeps for itself.
const field: fc.Arbitrary<string> = fc.constantFrom('a', 'b', '__proto__', 'n', '7', '\0c', '\0-7')
const value = fc.oneof(
  fc.constantFrom('', '0', '7', '-3', '9007199254740991', 'x'),
  fc.string({ unit: 'grapheme', maxLength: 8 }),
  fc.constantFrom(
    'x'.repeat(64),
    'x'.repeat(65),
    'ä'.repeat(100),
    '9'.repeat(5_000),
    '\0',
    '\u00000:1',
    `\0${'y'.repeat(4_100)}`,
  ),
)
const small = fc.integer({ min: -5, max: 8 })

const check: fc.Arbitrary<Check> = fc.oneof(
  fc.record({ check: fc.constant('absent' as const), field }),
  fc.record({ check: fc.constant('present' as const), field }),
  fc.record({ check: fc.constant('oneOf' as const), field, values: fc.array(value, { maxLength: 3 }) }),
  fc.record({ check: fc.constantFrom('above' as const, 'below' as const), field, value: small }),
)
const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ operation: fc.constant('set' as const), field, value }),
  fc.record({ operation: fc.constant('increment' as const), field, by: small }),
)
const texts = ['', 'granted', 'Ünïcödé 💡']
const content = fc.constantFrom(...texts).map((text) => ({ digest: sha256(text), text }))
const commit: fc.Arbitrary<Commit> = fc.record({
  session,
  id: fc.integer({ min: 0, max: 30 }).map(String),
  checks: fc.array(check, { maxLength: 2 }),
  operations: fc.array(operation, { maxLength: 4 }),
  expiresAtMs: fc.constantFrom(soon, soon + 1),
  audit: fc.option(value, { nil: undefined }),
  contents: fc.array(content, { maxLength: 2 }),
})

type Step = fc.AsyncCommand<Model, Store>
const always = (): boolean => true
const step = (text: string, run: (model: Model, store: Store) => Promise<void>): Step => ({
  check: always,
  run,
  toString: () => text,
})

/** The number in a text, the long way round: digits only, and not beyond what a double holds exactly. */
function numberIn(text: string | undefined): bigint | undefined {
  if (text === undefined || text === '' || text === '-') return undefined
  const digits = text.startsWith('-') ? text.slice(1) : text
  if (digits.length > 16 || [...digits].some((digit) => !'0123456789'.includes(digit))) return undefined
  const number = BigInt(text)
  return number > 9007199254740991n || number < -9007199254740991n ? undefined : number
}

function modelHolds(held: Check, text: string | undefined): boolean {
  if (held.check === 'absent') return text === undefined
  if (held.check === 'present') return text !== undefined
  if (held.check === 'oneOf') return held.values.some((allowed) => allowed === text)
  if (text === undefined) return held.check === 'below'
  const number = numberIn(text)
  if (number === undefined) return false
  return held.check === 'above' ? number > BigInt(held.value) : number < BigInt(held.value)
}

type Expected = { committed: true; repeated: boolean } | { committed: false; failed: number } | 'fault'

function modelCommit(model: Model, wanted: Commit): Expected {
  const repeat = JSON.stringify([wanted.session, wanted.id])
  if (model.performed.has(repeat)) return { committed: true, repeated: true }
  const record = new Map(model.sessions.get(wanted.session))
  for (const [index, held] of wanted.checks.entries()) {
    if (!modelHolds(held, record.get(held.field))) return { committed: false, failed: index }
  }
  for (const change of wanted.operations) {
    if (change.operation === 'set') {
      record.set(change.field, change.value)
      continue
    }
    const old = numberIn(record.get(change.field) ?? '0')
    const sum = old === undefined ? undefined : numberIn((old + BigInt(change.by)).toString())
    if (sum === undefined) return 'fault'
    record.set(change.field, sum.toString())
  }
  if (record.size > 0) model.sessions.set(wanted.session, record)
  model.performed.add(repeat)
  if (wanted.audit !== undefined) model.audit.push(wanted.audit)
  const kept = (wanted.contents ?? []).map(({ text }) => text)
  model.contents.set(wanted.session, new Set([...(model.contents.get(wanted.session) ?? []), ...kept]))
  return { committed: true, repeated: false }
}

const commits = commit.map((wanted) =>
  step(`commit ${JSON.stringify(wanted)}`, async (model, store) => {
    const expected = modelCommit(model, wanted)
    const answer = await store.sessions.commit(wanted).catch((error: unknown) => {
      if (error instanceof TypeError) return 'fault'
      throw error
    })
    expect(answer).toEqual(expected)
    expect(await store.sessions.readAll(wanted.session)).toEqual(model.sessions.get(wanted.session))
    // Others of its shard may share what they hold: only what its own commits brought is promised.
    for (const text of model.contents.get(wanted.session) ?? []) {
      expect(await store.audit.content(sha256(text), wanted.session)).toBe(text)
    }
    const anywhere = new Set([...model.contents.values()].flatMap((kept) => [...kept]))
    for (const text of texts.filter((other) => !anywhere.has(other))) {
      expect(await store.audit.content(sha256(text), wanted.session)).toBeUndefined()
    }
  }),
)

const reads = fc.tuple(session, fc.uniqueArray(field)).map(([of, fields]) =>
  step(`read ${of} ${fields.join()}`, async (model, store) => {
    const record = model.sessions.get(of)
    const asked = [...(record ?? [])].filter(([name]) => fields.includes(name))
    expect(await store.sessions.read(of, fields)).toEqual(record === undefined ? undefined : new Map(asked))
  }),
)

const claims = fc
  .tuple(fc.constantFrom('k1', 'k2', 'k|3\n'), fc.constantFrom('n1', 'n2'), fc.constantFrom(soon, 1))
  .map(([key, nonce, expiresAtMs]) =>
    step(`claim ${key} ${nonce} ${expiresAtMs}`, async (model, store) => {
      if (expiresAtMs !== 1 && !model.claims.has(key)) model.claims.set(key, nonce)
      const expected = expiresAtMs !== 1 && model.claims.get(key) === nonce
      expect(await store.claims.claim(key, nonce, expiresAtMs)).toBe(expected)
    }),
  )

const audits = fc.tuple(value, value, fc.boolean()).map(([key, record, stranger]) =>
  step(`audit ${JSON.stringify(record)} ${stranger}`, async (model, store) => {
    await (stranger ? store.audit.appendStrangers(record) : store.audit.append(key, record))
    model.audit.push(record)
    // Two shards agree on an order only by the millisecond: `store-contract.ts` looks at that.
    const records = (await store.audit.latest(10_000)).map((entry) => entry.record)
    expect(records.sort()).toEqual(model.audit.toSorted())
  }),
)

const indexes = fc
  .tuple(fc.constantFrom('i1', 'i2'), fc.constantFrom('m1', 'm2', 'm3', 'm4'), fc.integer({ min: 1, max: 9 }))
  .map(([index, member, offset]) =>
    step(`index ${index} ${member} ${offset}`, async (model, store) => {
      const members = model.indexes.get(index) ?? new Map<string, number>()
      model.indexes.set(index, members.set(member, Math.max(members.get(member) ?? 0, soon + offset)))
      await store.indexes.add(index, member, soon + offset)
      for (const nowMs of [soon, soon + 5]) {
        const left = [...members].filter(([, expiry]) => expiry > nowMs)
        const listed = await store.indexes.list(index, nowMs, 100)
        expect(listed.map((name) => members.get(name))).toEqual(left.map(([, expiry]) => expiry).sort((a, b) => b - a))
        expect(new Set(listed)).toEqual(new Set(left.map(([name]) => name)))
      }
    }),
  )

const controls = fc
  .tuple(fc.constantFrom('c1', 'c2', 'c|3'), fc.constantFrom(soon, soon + 10), fc.integer({ min: -1, max: 3 }))
  .map(([id, expiresAtMs, aboveLast]) =>
    step(`cut off ${id} ${expiresAtMs} ${aboveLast}`, async (model, store) => {
      const floor = aboveLast < 0 ? 0 : model.seq + aboveLast * 100
      const written = await store.control.write([{ entry: 'cutoff', dimension: 'agent', id, expiresAtMs }], floor)
      expect(written.seq).toBe(Math.max(model.seq + 1, floor, written.atMs))
      model.seq = written.seq
      const known = model.cutoffs.get(id)?.expiresAtMs ?? 0
      model.cutoffs.set(id, { seq: written.seq, expiresAtMs: Math.max(known, expiresAtMs) })
      const { seq, entries } = await store.control.snapshot()
      expect(seq).toBe(model.seq)
      const found = entries.map((entry) => [
        entry.id,
        { seq: entry.seq, expiresAtMs: 'expiresAtMs' in entry && entry.expiresAtMs },
      ])
      expect(new Map(found as [string, unknown][])).toEqual(model.cutoffs)
    }),
  )

export function describeModel(name: string, openFresh: OpenFresh): void {
  describe(`${name}: random histories`, () => {
    it('agree with a naive model after every step', async () => {
      const steps = fc.commands([commits, commits, commits, reads, claims, audits, indexes, controls], {
        maxCommands: 60,
        size: 'max',
      })
      const run = async (history: Iterable<fc.AsyncCommand<Model, Store>>) => {
        const opened = await openFresh()
        try {
          await fc.asyncModelRun(() => ({ model: emptyModel(), real: opened.store }), history)
        } finally {
          await opened.close()
        }
      }
      await fc.assert(
        fc.asyncProperty(steps, (history) => undisturbed(() => run(history))),
        { numRuns: 40 },
      )
    })
  })
}

/** A server that a busy machine keeps waiting has said nothing that a model could be wrong about: the history begins anew. */
async function undisturbed(run: () => Promise<void>): Promise<void> {
  for (let left = 20; ; left -= 1) {
    try {
      await run()
      return
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || left === 0) throw error
    }
  }
}
