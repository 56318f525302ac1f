import { defineConfig } from 'vitest/config'
import { LongestFirst } from './support/longest-first.ts'
import { PATIENCE_MS } from './support/patience.ts'

/** Suites that wait for deadlines of the broker, or measure what it promises in time: beside them nothing else may run. */
const UNDISTURBED = [
  'test/faults/{clock-steps,disk-stalled,event-loop,redis-faults}.test.ts',
  'test/e2e/{race-broker,two-brokers,workers}.test.ts',
]

/** Suites that each need about a processor of their own, and stand it that the other one is taken. */
const HEAVY = ['test/bench/**/*.test.ts', 'test/chaos/chaos.test.ts']

/** Suites that start processes, or are one themselves. */
const PROCESSES = ['test/{contract,e2e,faults}/**/*.test.ts']

/** Many tests wait, for processes and for clocks: a processor left to vitest itself would be idle. More at once, and brokers refuse for want of one. */
const maxWorkers = '100%'

export default defineConfig({
  test: {
    // Only what hangs for good is ended: how long a thing may take is said by the test that it matters to.
    testTimeout: 8 * PATIENCE_MS,
    hookTimeout: 8 * PATIENCE_MS,
    expect: { poll: { timeout: PATIENCE_MS } },
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        extends: true,
        test: {
          name: 'processes',
          include: PROCESSES,
          exclude: [...UNDISTURBED, ...HEAVY],
          maxWorkers,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: [...PROCESSES, ...UNDISTURBED, ...HEAVY],
          maxWorkers,
          // To read the broker anew takes longer than most of these files take to test it; each makes a broker of its own.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'heavy', include: HEAVY, maxWorkers: 2, sequence: { groupOrder: 2 } } },
      { extends: true, test: { name: 'alone', include: UNDISTURBED, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
})
