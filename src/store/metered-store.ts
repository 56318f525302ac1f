/**
 * A store whose every call is timed, and counted where it fails. Changes nothing: answers and faults pass as they are. The
 * names of operations are those of the ports’ own methods, so there are only so many.
 */
import { performance } from 'node:perf_hooks'
import type { Store } from './ports.ts'

/** @param operation such as `sessions.commit` */
export type StoreObserver = (operation: string, seconds: number, failed: boolean) => void

export function meteredStore(store: Store, observe: StoreObserver): Store {
  const { sessions, claims, control, audit, log, indexes, documents, windows, calls } = store
  return {
    sessions: metered('sessions', sessions, observe),
    claims: metered('claims', claims, observe),
    control: metered('control', control, observe),
    audit: metered('audit', audit, observe),
    log: metered('log', log, observe),
    indexes: metered('indexes', indexes, observe),
    documents: metered('documents', documents, observe),
    windows: metered('windows', windows, observe),
    calls: metered('calls', calls, observe),
    ping: timed('ping', () => store.ping(), observe),
    get takesWrites() {
      return store.takesWrites
    },
    close: () => store.close(),
  }
}

type Call = (...args: unknown[]) => unknown

function metered<T extends object>(port: string, target: T, observe: StoreObserver): T {
  const calls = new Map<string | symbol, { readonly of: unknown; readonly call: unknown }>()
  return new Proxy(target, {
    get(_target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      const known = calls.get(name)
      if (known?.of === member) return known.call
      const call = timed(`${port}.${String(name)}`, (...args) => Reflect.apply(member, target, args), observe)
      calls.set(name, { of: member, call })
      return call
    },
  })
}

function timed<F extends Call>(operation: string, call: F, observe: StoreObserver): F {
  const wrapped = (...args: unknown[]): unknown => {
    const begun = performance.now()
    const answer = call(...args)
    if (!(answer instanceof Promise)) return answer
    answer.then(
      () => observe(operation, (performance.now() - begun) / 1000, false),
      () => observe(operation, (performance.now() - begun) / 1000, true),
    )
    return answer
  }
  return wrapped as F
}
