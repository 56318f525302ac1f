import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { EmbeddedDatabase } from '../../../src/store/embedded-database.ts'
import { EmbeddedIndexes } from '../../../src/store/embedded-indexes.ts'
import { expiringText, NEVER_MS, ordered } from '../../../src/store/embedded-keys.ts'

const START_MS = 1_800_000_000_000
const KEYS = ['a', 'b', 'c', `long:${'x'.repeat(1_200)}`, `longer:${'y'.repeat(1_500)}`]

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'errand-expiry-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

const key = fc.constantFrom(...KEYS)
const put = fc.record({
  key,
  inMs: fc.oneof(fc.integer({ min: 1, max: 3_000 }), fc.constant(700)),
  repeated: fc.boolean(),
})
const step = fc.record({
  puts: fc.array(put, { maxLength: 6 }),
  thenMs: fc.integer({ min: 0, max: 1_500 }),
  fails: fc.boolean(),
})

it('removes all that has expired, whenever its expiry moved and whichever list names it, and nothing that lives', async () => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const clock = { time: START_MS, nowMs: () => clock.time }
      const database = new EmbeddedDatabase(join(directory, String(run++)), 'acme', clock)
      const model = new Map<string, number>()
      const lives = (name: string) => (model.get(name) ?? 0) > clock.time
      for (const { puts, thenMs, fails } of steps) {
        const before = new Map(model)
        const write = database.write(() => {
          for (const { key: name, inMs, repeated } of puts) {
            const expiresAtMs = repeated && lives(name) ? (model.get(name) ?? 0) : clock.time + inMs
            if (lives(name)) database.putExpiring(name, expiresAtMs, 'x')
            else database.putDated(name, expiresAtMs, 'x')
            model.set(name, expiresAtMs)
          }
          if (fails && puts.length > 0) throw new Error('fails behind its first put')
        })
        if (fails && puts.length > 0) {
          await expect(write).rejects.toThrow()
          model.clear()
          for (const [name, expiresAtMs] of before) model.set(name, expiresAtMs)
        } else await write
        clock.time += thenMs
        for (const name of KEYS) expect(database.getExpiring(name) !== undefined, name).toBe(lives(name))
      }
      clock.time += 10_000
      await database.write(() => database.putDated('stays', clock.time + 60_000, 'x'))
      await database.write(() => undefined)
      const left = [...database.range('')].map(({ key: name }) => name.replace(/^(expiries:\d+):.*/, '$1'))
      expect(left).toEqual(['clock', expect.stringMatching(/^expiries:/), 'stays'])
      await database.close()
    }),
    { numRuns: 60 },
  )
})

const at = (time: number) => ({
  time,
  nowMs() {
    return this.time
  },
})

/** All keys, once whatever is due has been swept. */
async function keysLeft(database: EmbeddedDatabase): Promise<readonly string[]> {
  for (let batch = 0; batch < 5; batch++) await database.write(() => undefined)
  return [...database.range('')].map(({ key: name }) => name)
}

it('names nothing that never expires, until it does', async () => {
  const clock = at(START_MS)
  const database = new EmbeddedDatabase(directory, 'acme', clock)
  await database.write(() => database.putDated('call', NEVER_MS, 'x'))
  expect(await keysLeft(database)).toEqual(['call', 'clock'])
  await database.write(() => database.putExpiring('call', START_MS + 1_000, 'x'))
  clock.time += 3_000
  expect(await keysLeft(database)).toEqual(['clock'])
  await database.close()
})

it('sweeps what brokers before have named one by one, and leaves what has moved since', async () => {
  const clock = at(START_MS)
  const database = new EmbeddedDatabase(directory, 'acme', clock)
  const named = (name: string, ms: number) => database.put(`expiry:${ordered(START_MS + ms)}:${name}`, name)
  await database.write(() => {
    for (let n = 0; n < 150; n++) {
      named(`gone:${n}`, 10)
      database.put(`gone:${n}`, expiringText(START_MS + 10, 'x'))
    }
    named('moved', 10)
    named('gone:never', 10)
    database.put('moved', expiringText(START_MS + 10, 'x'))
  })
  await database.write(() => database.putExpiring('moved', START_MS + 9_000, 'x'))
  clock.time += 5_000
  expect(await keysLeft(database)).toEqual(['clock', expect.stringMatching(/^expiries:/), 'moved'])
  clock.time += 10_000
  expect(await keysLeft(database)).toEqual(['clock'])
  await database.close()
})

it('a store that was opened again at the same moment writes no list over one that is there', async () => {
  const clock = at(START_MS)
  for (const name of ['first', 'second']) {
    const database = new EmbeddedDatabase(directory, 'acme', clock)
    await database.write(() => database.putDated(name, START_MS + 100, 'x'))
    await database.close()
  }
  const database = new EmbeddedDatabase(directory, 'acme', clock)
  clock.time += 10_000
  expect(await keysLeft(database)).toEqual(['clock'])
  await database.close()
})

it('a member that is listed again as it is listed already leaves nothing more behind', async () => {
  const database = new EmbeddedDatabase(directory, 'acme', at(START_MS))
  const indexes = new EmbeddedIndexes(database)
  const members = new Map([['agent', new Map([['session', START_MS + 60_000]])]])
  await indexes.addAll(members)
  const once = await keysLeft(database)
  for (let n = 0; n < 10; n++) await indexes.addAll(members)
  expect(await keysLeft(database)).toEqual(once)
  await database.close()
})
