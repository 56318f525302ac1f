/** One control of `deploy/threats.md` taken out as its file is read; the file itself stays as it is. */
import { defineConfig } from 'vitest/config'
import { mutationAt } from './threats-list.ts'

const mutation = mutationAt(Number(process.env['ERRAND_MUTATION']))

export default defineConfig({
  plugins: [
    {
      name: 'take-out-a-control',
      enforce: 'pre',
      transform: (code, id) =>
        id.endsWith(`/${mutation.source}`)
          ? { code: code.replace(mutation.is, () => mutation.becomes), map: null }
          : null,
    },
  ],
  test: {
    testTimeout: 30_000,
    hookTimeout: 60_000,
    pool: 'forks',
    include: ['test/**/*.test.ts'],
    // What one mutation has made of a file is not what the next makes of it, nor what any other test may see.
    fsModuleCache: false,
  },
})
