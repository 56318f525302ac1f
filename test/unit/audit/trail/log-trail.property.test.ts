/**
 * Against a model that knows every record: whatever is written, sequenced (all of it or a part) and pruned between any two pages,
 * pages have each record that there was when the first was asked for once, newest first, or it is said that it is gone.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { columnsOf } from '../../../../src/audit/log/columns.ts'
import { LogTrail } from '../../../../src/audit/trail/log-trail.ts'
import { systemTicks } from '../../../../src/kernel/clock.ts'
import type { AuditRecord } from '../../../../src/model/audit-record.ts'
import { prune, sequence } from '../../../support/log-filling.ts'
import { HandClock, type TestStore, testStore } from '../../sessions/fixtures.ts'

type Filter = Parameters<LogTrail['page']>[0]

interface Kind {
  readonly agent: string
  readonly outcome: 'granted' | 'refused'
  readonly isStranger: boolean
}

const kind: fc.Arbitrary<Kind> = fc.record({
  agent: fc.constantFrom('a', 'b'),
  outcome: fc.constantFrom('granted', 'refused'),
  isStranger: fc.boolean().map((one) => one),
})
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('append' as const), kinds: fc.array(kind, { maxLength: 8 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('append many' as const), kind, count: fc.integer({ min: 100, max: 300 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('sequence' as const), atMost: fc.integer({ min: 1, max: 400 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('prune' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('page' as const), limit: fc.integer({ min: 1, max: 120 }) }) },
)
const filter: fc.Arbitrary<Filter> = fc.record(
  {
    agent: fc.constantFrom('a', ['a', 'b'], 'nobody'),
    outcome: fc.constantFrom('granted', 'refused'),
    class: fc.constantFrom('agent', 'stranger'),
    sinceMs: fc.integer({ min: 0, max: 400 }),
    untilMs: fc.integer({ min: 0, max: 1200 }),
  },
  { requiredKeys: [] },
)

class Model {
  readonly #held: TestStore
  readonly #clock: HandClock
  readonly #all: AuditRecord[] = []
  readonly trail: LogTrail
  /** Records before it have no body any more, by their index. */
  #pruned = 0

  constructor(held: TestStore, clock: HandClock) {
    this.#held = held
    this.#clock = clock
    const { audit, log } = held.store
    this.trail = new LogTrail({
      audit,
      log,
      ticks: systemTicks,
      sequence: async () => void (await sequence(held.store)),
    })
  }

  async append({ agent, outcome, isStranger }: Kind): Promise<void> {
    const at = new Date(this.#clock.nowMs() + this.#all.length).toISOString()
    const [by, by_class] = isStranger ? (['stranger', 'stranger'] as const) : ([`agent:${agent}`, 'agent'] as const)
    const id = `dec_${this.#all.length}`
    const record: AuditRecord = { id, at, event: 'token.continue', outcome, by, by_class }
    this.#all.push(record)
    const { audit } = this.#held.store
    await (isStranger ? audit.appendStrangers(JSON.stringify(record)) : audit.append('key', JSON.stringify(record)))
  }

  async prune(share: number): Promise<void> {
    const size = await sequence(this.#held.store, 0)
    this.#pruned = Math.max(this.#pruned, await prune(this.#held.store, Math.floor(share * size)))
  }

  get pruned(): number {
    return this.#pruned
  }

  /** Ids, newest first: written anew, and without columns. */
  expected({ sinceMs = 0, untilMs = Number.POSITIVE_INFINITY, ...named }: Filter): readonly string[] {
    return this.#all
      .filter((record) => {
        const at = Date.parse(record.at)
        const columns = columnsOf(record)
        const holds = Object.entries(named).every(([dimension, wanted]) =>
          [wanted ?? []].flat().some((value) => columns.get(dimension as 'agent')?.includes(value) === true),
        )
        return holds && at >= sinceMs && at < untilMs
      })
      .map(({ id }) => id)
      .toReversed()
  }
}

test('pages have each record once, newest first, whatever happens between them', async () => {
  const property = fc.asyncProperty(fc.array(step, { minLength: 4, maxLength: 24 }), filter, async (steps, asked) => {
    const clock = new HandClock()
    const held = await testStore(clock)
    const model = new Model(held, clock)
    const wanted = {
      ...asked,
      ...(asked.sinceMs === undefined ? {} : { sinceMs: clock.nowMs() + asked.sinceMs }),
      ...(asked.untilMs === undefined ? {} : { untilMs: clock.nowMs() + asked.untilMs }),
    }
    try {
      let reading: Reading | undefined
      for (const one of [...steps, ...steps.filter((last) => last.do === 'page'), END]) {
        if (one.do === 'append') for (const kind of one.kinds) await model.append(kind)
        else if (one.do === 'append many') for (let n = 0; n < one.count; n++) await model.append(one.kind)
        else if (one.do === 'sequence') await sequence(held.store, one.atMost)
        else if (one.do === 'prune') await model.prune(one.share)
        else reading = await readOn(reading, { model, wanted, limit: one.limit, toTheEnd: one === END })
      }
    } finally {
      await held.close()
    }
  })
  await fc.assert(property, { numRuns: 25 })
})

const END = { do: 'page' as const, limit: 50 }

interface Reading {
  readonly expected: readonly string[]
  readonly found: readonly string[]
  readonly gone: number
  readonly after: string | undefined
}

interface Asking {
  readonly model: Model
  readonly wanted: Filter
  readonly limit: number
  readonly toTheEnd: boolean
}

async function readOn(before: Reading | undefined, asking: Asking): Promise<Reading | undefined> {
  const { model, wanted, limit, toTheEnd } = asking
  const reading = before ?? { expected: model.expected(wanted), found: [], gone: 0, after: undefined }
  const page = await model.trail.page(wanted, limit, reading.after)
  expect(page.entries.length).toBeLessThanOrEqual(limit)
  const found = [...reading.found, ...page.entries.map(({ record }) => record.id)]
  const gone = reading.gone + page.gaps.reduce((sum, { records = 0 }) => sum + records, 0)
  if (page.after !== undefined) {
    const next = { ...reading, found, gone, after: page.after }
    return toTheEnd ? readOn(next, asking) : next
  }
  expect(new Set(found).size).toBe(found.length)
  const missing = reading.expected.filter((id) => !found.includes(id))
  expect(found).toEqual(reading.expected.filter((id) => found.includes(id)))
  if (model.pruned === 0) expect(missing).toEqual([])
  // What is gone was the oldest, and it is said how many.
  expect(missing).toEqual(reading.expected.slice(reading.expected.length - missing.length))
  expect(gone).toBeGreaterThanOrEqual(missing.length)
  return undefined
}
