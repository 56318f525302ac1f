/**
 * Any bytes are a value or the documented refusal, in time that grows with their length: kept seeds first, then fresh inputs
 * for a bounded time. `FUZZ_SEED` runs the inputs of a seed that failed elsewhere again; `npm run fuzz` runs for longer.
 */
import { randomInt } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { check, checkGrowth, describeFailure, fuzz, keptSeeds } from './harness.ts'
import { TARGETS } from './targets.ts'

const SEED = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31))
/** All targets together: about a quarter of a minute. */
const MILLISECONDS = 300

describe.each(TARGETS)('$name', (target) => {
  test('every example of the corpus and every kept seed is a value or a refusal', async () => {
    for (const input of target.corpus) await check(target, input)
    for (const { input } of keptSeeds(target.name)) await check(target, input)
  })

  test('so is what is made of them', async () => {
    const { inputs, failure } = await fuzz(target, SEED, MILLISECONDS)
    if (failure !== undefined) throw new Error(describeFailure(failure, SEED), { cause: failure.error })
    expect(inputs).toBeGreaterThan(0)
  })

  test('its work grows with the length of its input, not faster', () => checkGrowth(target))
})

test('every kept seed belongs to a target', () => {
  const kept = readdirSync(join(import.meta.dirname, 'seeds'), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  )
  const names = TARGETS.map(({ name }) => name)
  expect(kept.map(({ name }) => name).filter((name) => !names.includes(name))).toEqual([])
})
