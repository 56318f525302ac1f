/**
 * Random histories of records, of what they name and of trimming, some of it at the same time: what a record names that has not
 * been trimmed is there, letter by letter; what none names any more is forgotten.
 */
import { randomUUID } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sha256 } from '../../src/kernel/digest.ts'
import { newDecisionId, newSessionId, type SessionId } from '../../src/kernel/ids.ts'
import type { Store } from '../../src/store/ports.ts'
import { add, commitOf, type OpenedStore, type OpenFresh } from './store-contract.ts'

const TEXTS = ['a', 'b', 'c', 'd', 'e', 'f']

type Step =
  /** Records that name some of the texts, written at the same time. */
  | { readonly write: readonly (readonly string[])[]; readonly byCommit: boolean }
  /** Up to the n-th of those that are there. */
  | { readonly trim: number }

const names = fc.uniqueArray(fc.constantFrom(...TEXTS), { maxLength: 3 })
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ write: fc.array(names, { minLength: 1, maxLength: 5 }), byCommit: fc.boolean() }),
  },
  { weight: 2, arbitrary: fc.record({ trim: fc.nat(8) }) },
)

export function describeContents(name: string, openFresh: OpenFresh): void {
  describe(`${name}: what records name`, () => {
    let opened: OpenedStore
    beforeAll(async () => {
      // Ages may be three records behind.
      opened = await openFresh({ outboxMax: 300, textsKeptMs: 0 })
    })
    afterAll(() => opened?.close())

    it('is there as long as they are, however records and trimming interleave, and then no longer', async () => {
      const history = fc.array(fc.array(step, { minLength: 1, maxLength: 4 }), { minLength: 4, maxLength: 16 })
      await fc.assert(
        fc.asyncProperty(history, (turns) => follow(opened.store, turns)),
        { numRuns: 25 },
      )
    })
  })
}

/** All steps of one turn are under way at the same time. */
async function follow(store: Store, turns: readonly (readonly Step[])[]): Promise<void> {
  // Of a history that has failed.
  await trim(store, Number.POSITIVE_INFINITY)
  const session = newSessionId()
  const texts = new Map(TEXTS.map((one) => [one, `${one} ${randomUUID()}`]))
  const digestOf = (one: string) => sha256(texts.get(one) ?? '')
  const write = (named: readonly string[], byCommit: boolean): Promise<unknown> => {
    const audit = JSON.stringify({ id: newDecisionId(), names: named })
    const contents = named.map((one) => ({ digest: digestOf(one), text: texts.get(one) ?? '' }))
    if (!byCommit) return store.audit.append(session, audit, contents)
    return store.sessions.commit(commitOf(session, [add('n', 1)], { audit, contents }))
  }
  const perform = async (one: Step): Promise<void> => {
    if ('trim' in one) await trim(store, one.trim)
    else await Promise.all(one.write.map((named) => write(named, one.byCommit)))
  }
  for (const turn of turns) {
    await Promise.all(turn.map(perform))
    await expectNamed(store, session, texts)
  }
  await trim(store, Number.POSITIVE_INFINITY)
  // Behind them come some that name nothing.
  for (let n = 0; n < 6; n++) await write([], false)
  await trim(store, Number.POSITIVE_INFINITY)
  const digests = TEXTS.map(digestOf)
  for (const outbox of store.audit.outboxes) expect(await store.audit.contentsIn(outbox, digests)).toEqual(new Map())
}

async function trim(store: Store, upTo: number): Promise<void> {
  for (const [outbox, entries] of await store.audit.pending(new Map(), 1_000)) {
    const last = entries[Math.min(upTo, entries.length - 1)]
    await store.audit.trim(outbox, last?.position ?? '')
  }
}

async function expectNamed(store: Store, session: SessionId, texts: ReadonlyMap<string, string>): Promise<void> {
  for (const [outbox, entries] of await store.audit.pending(new Map(), 1_000)) {
    const named = new Set(entries.flatMap(({ record }) => (JSON.parse(record) as { names: string[] }).names))
    const wanted = new Map(Array.from(named, (one) => [sha256(texts.get(one) ?? ''), texts.get(one)]))
    expect(await store.audit.contentsIn(outbox, [...wanted.keys()])).toEqual(wanted)
    for (const [digest, text] of wanted) expect(await store.audit.content(digest, session)).toBe(text)
  }
}
