/** Faults of a real store at chosen calls: everything else still reaches it. */
import { StoreUnavailable } from '../../../src/store/ports.ts'

type Method = (...args: never[]) => Promise<unknown>

export interface Fault {
  /** Calls that were answered with the fault. */
  readonly failures: number
  /** The method works again. */
  heal(): void
}

/**
 * Makes `port[method]` throw `StoreUnavailable`; only for calls that `when` picks (default: all).
 * With `after: true` the call is performed first and its answer is lost, as when the network breaks on the way back.
 */
export function failing<P extends object, M extends keyof P & string>(
  port: P,
  method: M,
  options: { readonly when?: (args: readonly unknown[]) => boolean; readonly after?: boolean } = {},
): Fault {
  const real = port[method] as Method
  const counted = { failures: 0 }
  const faulty = async (...args: never[]) => {
    if (options.when !== undefined && !options.when(args)) return real.apply(port, args)
    counted.failures += 1
    if (options.after === true) await real.apply(port, args)
    throw new StoreUnavailable(`${method} does not answer`)
  }
  Object.defineProperty(port, method, { value: faulty, configurable: true, writable: true })
  return {
    get failures() {
      return counted.failures
    },
    heal: () => {
      Object.defineProperty(port, method, { value: real, configurable: true, writable: true })
    },
  }
}
