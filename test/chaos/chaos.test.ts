/**
 * Revocation on stores that fail, in short: `npm run test:chaos` goes on for as long as one likes. Whatever is killed, stopped, cut
 * off and started again, what was acknowledged to be revoked is accepted nowhere, what is single is used once, and service returns.
 */
import { randomInt } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { violations } from './checker.ts'
import { figuresOf } from './figures.ts'
import { runChaos, type Topology } from './run.ts'

describe.each(['sentinel', 'cluster'] as const)('three brokers on a Redis that fails: %s', (topology: Topology) => {
  test('no revocation that was acknowledged is undone, nothing is used twice, and service returns', async () => {
    // Another run each time; what it did is made again from the seed that a failure names.
    const seed = randomInt(2 ** 31)
    const history = await runChaos({ seed, topology, rounds: 2 })
    const figures = figuresOf(history)
    expect(violations(history), `seed ${seed}: npm run test:chaos -- --topology ${topology} --seed ${seed}`).toEqual([])
    // It did what it is there for.
    expect(figures.revokes, JSON.stringify(figures)).toBeGreaterThan(3)
    expect(figures.verifications).toBeGreaterThan(10)
    expect(figures.faults).toHaveLength(2)
  })
})
