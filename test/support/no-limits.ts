/** Admission switched off: a test that fails on purpose, again and again from one address, is not what it is about. */
import type { Config } from '../../src/config/config.ts'

export const NO_LIMITS: Config['limits'] = {
  perSource: undefined,
  perSourceAndClient: undefined,
  perClient: undefined,
  perIssuer: undefined,
  refusalDelayMs: 0,
}
