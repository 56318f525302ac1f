/** The tests that each mutant is put before: those of the decision and of attenuation that answer within milliseconds. */
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    testTimeout: 30_000,
    pool: 'forks',
    // Seconds for each mutant, and nothing that the others do not see.
    testNamePattern: '^(?!.*thirty thousand)',
    include: ['test/unit/authority/*.test.ts', 'test/unit/policy/*.test.ts'],
  },
})
