/**
 * One embedded store in two processes, as `errand serve --workers 2` has it: calls go to this one and to a child in turn, so
 * that whatever one of them remembers between two transactions shows.
 */
import { fork } from 'node:child_process'
import { rmSync } from 'node:fs'
import { systemClock } from '../../src/kernel/clock.ts'
import { holdDirectory } from '../../src/store/embedded-store.ts'
import { openStore } from '../../src/store/open-store.ts'
import { OutboxFull, type Store, StoreUnavailable } from '../../src/store/ports.ts'
import { scratchDirectory } from '../support/scratch.ts'
import type { FreshOptions } from './store-contract.ts'

export type StorePart = 'sessions' | 'claims' | 'control' | 'audit' | 'log' | 'indexes' | 'calls'

export interface StoreCall {
  readonly id: number
  readonly part: StorePart
  readonly method: string
  readonly args: readonly unknown[]
}

export interface StoreReply {
  readonly id: number
  readonly result?: unknown
  readonly error?: unknown
  readonly name?: string
}

export interface StorePair {
  /** Each call at the other process than the one before. Followers are of this process. */
  readonly store: Store
  readonly local: Store
  /** Everything at the child. */
  readonly remote: Store
  close(): Promise<void>
}

export async function openPair(options: FreshOptions = {}): Promise<StorePair> {
  const directory = scratchDirectory('errand-pair-')
  const { org = 'acme', ...bounds } = options
  const held = holdDirectory(directory, () => undefined)
  const file = new URL('./store-child.ts', import.meta.url).pathname
  const args = [directory, org, String(process.pid), JSON.stringify(bounds)]
  // Structured clones: maps, `undefined` and odd texts arrive as they are.
  const child = fork(file, args, { serialization: 'advanced' })
  const heard = new Set<() => void>()
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: unknown): void }>()
  const opened = new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('the other process ended before its store was open')))
    child.on('message', (message: StoreReply | 'written' | 'open') => {
      if (message === 'open') return resolve()
      if (message === 'written') return heard.forEach((listener) => void listener())
      const { result, error, name } = message
      const waiter = waiting.get(message.id)
      waiting.delete(message.id)
      if (error === undefined) waiter?.resolve(result)
      else waiter?.reject(thrownAs(name, error))
    })
  })
  await opened
  let calls = 0
  const ask = (part: StorePart, method: string, given: readonly unknown[]) =>
    new Promise<unknown>((resolve, reject) => {
      calls += 1
      waiting.set(calls, { resolve, reject })
      // What is told by functions is of this process alone.
      const args = given.filter((one) => typeof one !== 'function')
      child.send({ id: calls, part, method, args } satisfies StoreCall)
    })
  const local = await openStore({
    kind: 'embedded',
    directory,
    org,
    clock: systemClock,
    ...bounds,
    peers: {
      lockHolderPid: process.pid,
      notify: () => void child.send('written'),
      onNotified: (listener) => void heard.add(listener),
    },
  })
  const remote = proxied(local, (part, method, given) => ask(part, method, given))
  let turn = 0
  const store = proxied(local, (part, method, given) => {
    turn += 1
    if (turn % 2 === 0) return ask(part, method, given)
    const target = local[part] as unknown as Record<string, (...all: readonly unknown[]) => Promise<unknown>>
    return target[method]?.(...given) ?? Promise.reject(new Error(`no ${part}.${method}`))
  })
  return {
    store,
    local,
    remote,
    async close() {
      await local.close()
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.disconnect()
      await gone
      held.release()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}

/** Of an error that has come from the other process, its own class. */
function thrownAs(name: string | undefined, error: unknown): unknown {
  if (name === 'OutboxFull') return new OutboxFull(error)
  return name === 'StoreUnavailable' ? new StoreUnavailable(String(error)) : error
}

type Performed = (part: StorePart, method: string, args: readonly unknown[]) => Promise<unknown>

/** A store whose parts' methods are all `perform`, but for what only makes sense here. */
function proxied(local: Store, perform: Performed): Store {
  const part = (name: StorePart) =>
    new Proxy(local[name], {
      get: (target, method) => {
        if (method === 'follow') return local.control.follow.bind(local.control)
        if (typeof Reflect.get(target, method) !== 'function') return Reflect.get(target, method)
        return (...args: readonly unknown[]) => perform(name, String(method), args)
      },
    })
  return {
    ...local,
    sessions: part('sessions') as Store['sessions'],
    claims: part('claims') as Store['claims'],
    control: part('control') as Store['control'],
    calls: part('calls') as Store['calls'],
    audit: part('audit') as Store['audit'],
    log: part('log') as Store['log'],
    indexes: part('indexes') as Store['indexes'],
  }
}
