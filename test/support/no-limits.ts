/** Admission switched off: a test that fails on purpose, again and again from one address, is not what it is about. */
import type { Config } from '../../src/config/config.ts'

export const NO_LIMITS: Config['limits'] = {
  perSource: undefined,
  perSourceAndClient: undefined,
  perClient: undefined,
  perIssuer: undefined,
  refusalDelayMs: 0,
}

/** Drift is not counted: whoever widens on purpose for a hundred tests is not to be halted at the tenth. */
export const NO_BRAKES: Config['settings']['drift'] = { contractAfter: 0, haltAfter: 0, windowSeconds: 3600 }
