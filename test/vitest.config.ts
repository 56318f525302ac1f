import { defineConfig } from 'vitest/config'

/** Suites that wait for deadlines of the broker, or count what one machine can do: beside them nothing else may run. */
const UNDISTURBED = [
  'test/bench/**/*.test.ts',
  'test/faults/{clock-steps,disk-stalled,event-loop,redis-faults}.test.ts',
  'test/e2e/{race-broker,two-brokers,workers}.test.ts',
]

export default defineConfig({
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    projects: [
      {
        extends: true,
        test: {
          name: 'together',
          include: ['test/**/*.test.ts'],
          exclude: UNDISTURBED,
          // Many tests wait, for processes and for clocks: a processor left to vitest itself would be idle.
          maxWorkers: '100%',
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'alone', include: UNDISTURBED, maxWorkers: 1, sequence: { groupOrder: 1 } } },
    ],
  },
})
