/** `kill -9` between any two steps of an exchange and of a revoke, on the embedded store, inside its transactions too. */
import { join } from 'node:path'
import { killStepSuite } from './kill-step-suite.ts'

killStepSuite(async () => ({
  storeIn: (directory) => ({ kind: 'embedded', directory: join(directory, 'store') }),
}))
