/**
 * Loaded into a broker that is to be killed: counts the steps of its first request and ends the process with SIGKILL in the gap
 * before the n-th. A step is anything that reaches out of memory: each call of a store's port (before it, while it is under
 * way, after its answer), each entry put inside a transaction of the embedded store, each signature. A step that is added to an
 * exchange or a revoke is counted by itself.
 *
 * What is signed is written to a file as soon as it is: that is what a process can have leaked when it dies.
 */
import crypto from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import type { EmbeddedDatabase } from '../../src/store/embedded-database.ts'
import type { Store } from '../../src/store/ports.ts'

export interface KillOrder {
  /** The step before which it dies, from 1. */
  readonly at: number
  /** Where what is signed, and the name of the last step, are written: one JSON value a line. */
  readonly file: string
}

type Method = (...args: unknown[]) => unknown

/** Those a broker calls on a timer, and not for a request. */
const NOT_STEPS = ['constructor', 'follow', 'snapshot', 'usage', 'due', 'close', 'pending', 'trim', 'contentsIn']
/** Lists follow behind the answer: that the process may die there is enough. */
const ONLY_BEFORE = /^indexes\.|\.(read|readAll|list|latest|content)$/
/** A JOSE header. */
const TOKEN_BEGINS = 'eyJ'
const ENTRIES = /^(session|commit|claim|outbox|content|contents-order|control|call|call-due|window):/

/** To be called once everything is up; the next request is the one. @param database of the embedded store, where it is that */
export function killAt({ at, file }: KillOrder, store: Store, database: typeof EmbeddedDatabase | undefined): void {
  let count = 0
  const step = (name: string): void => {
    count += 1
    if (count !== at) return
    appendFileSync(file, `${JSON.stringify({ killed: name })}\n`)
    process.kill(process.pid, 'SIGKILL')
  }
  for (const port of ['sessions', 'claims', 'control', 'audit', 'indexes', 'calls', 'windows'] as const)
    wrapPort(port, store[port], step)
  if (database !== undefined) wrapPuts(database.prototype, step)
  wrapSign(step, file)
}

function wrapPort(port: string, target: object, step: (name: string) => void): void {
  const members = target as Record<string, Method>
  for (let level = target; level !== Object.prototype; level = Object.getPrototypeOf(level)) {
    for (const name of Object.getOwnPropertyNames(level)) {
      const real = members[name]
      if (NOT_STEPS.includes(name) || name.endsWith('Inside') || typeof real !== 'function') continue
      const called = `${port}.${name}`
      members[name] = (...args) => {
        step(`before ${called}`)
        const answer = real.apply(target, args)
        if (ONLY_BEFORE.test(called) || !(answer instanceof Promise)) return answer
        setImmediate(() => step(`during ${called}`))
        return answer.then((result) => {
          step(`after ${called}`)
          return result
        })
      }
    }
  }
}

function wrapPuts(database: EmbeddedDatabase, step: (name: string) => void): void {
  const { put } = database
  database.put = function (this: EmbeddedDatabase, key, value) {
    if (ENTRIES.test(key)) step(`before put ${key.slice(0, key.indexOf(':'))}`)
    put.call(this, key, value)
  }
}

function wrapSign(step: (name: string) => void, file: string): void {
  const real = crypto.sign as unknown as Method
  const counted: Method = (algorithm, data, key, done) => {
    // The log’s checkpoints are signed on a timer.
    if (!String(data).startsWith(TOKEN_BEGINS))
      return done === undefined
        ? real.call(crypto, algorithm, data, key)
        : real.call(crypto, algorithm, data, key, done)
    step('before sign')
    // Curves are signed with at once, without a callback.
    if (done === undefined) {
      const signature = real.call(crypto, algorithm, data, key) as Buffer
      appendFileSync(file, `${JSON.stringify({ signed: String(data), der: signature.toString('base64') })}\n`)
      step('after sign')
      return signature
    }
    return real.call(crypto, algorithm, data, key, (error: unknown, signature: Buffer) => {
      appendFileSync(file, `${JSON.stringify({ signed: String(data), der: signature?.toString('base64') })}\n`)
      step('after sign')
      ;(done as Method)(error, signature)
    })
  }
  Object.assign(crypto, { sign: counted })
  syncBuiltinESMExports()
}
