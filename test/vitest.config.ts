import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // Many tests wait, for processes and for clocks: a processor left to vitest itself would be idle.
    maxWorkers: '100%',
  },
})
