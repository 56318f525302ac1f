/**
 * `npm run fuzz -- --seconds 600`: every parser in turn, a second each, with a seed of its own unless one is given; what fails
 * is kept as a seed. `--seed N --only NAME --from NUMBER` makes one input again.
 */
import { randomInt } from 'node:crypto'
import { parseArgs } from 'node:util'
import { Chance } from '../support/chance.ts'
import { check, describeFailure, fuzz, keepSeed, seedOf } from './harness.ts'
import { mutate } from './mutate.ts'
import { TARGETS } from './targets.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    only: { type: 'string' },
    from: { type: 'string' },
  },
})
const seed = Number(values.seed ?? randomInt(2 ** 31))
const targets = TARGETS.filter(({ name }) => values.only === undefined || name === values.only)
if (targets.length === 0) throw new Error(`no target is called ${values.only}`)

if (values.from !== undefined) {
  for (const target of targets) {
    const input = mutate(target.corpus, new Chance(seedOf(seed, target.name, Number(values.from))))
    console.log(JSON.stringify(input))
    await check(target, input)
  }
} else {
  const until = performance.now() + Number(values.seconds) * 1_000
  const failed = new Set<string>()
  let inputs = 0
  for (let round = 0; performance.now() < until; round += 1) {
    for (const target of targets) {
      const result = await fuzz(target, seed + round, 1_000)
      inputs += result.inputs
      if (result.failure === undefined || failed.has(target.name)) continue
      failed.add(target.name)
      console.error(
        `${describeFailure(result.failure, seed + round)}\nkept: ${keepSeed(target.name, result.failure.input)}\n`,
      )
    }
  }
  console.log(`${inputs} inputs, ${targets.length} targets, seed ${seed}: ${failed.size} failed`)
  process.exitCode = failed.size > 0 ? 1 : 0
}
