/** The Rejection an attempt ends in; any other end fails the test. */
import { Rejection } from '../../../src/kernel/rejection.ts'

export function refusalOf(attempt: () => unknown): Rejection {
  let given: unknown
  try {
    given = attempt()
  } catch (thrown) {
    if (thrown instanceof Rejection) return thrown
    throw thrown
  }
  throw new Error(`nothing was refused: ${JSON.stringify(given)}`)
}
