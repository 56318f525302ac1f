/** Errand under test: the broker as `createBroker` wires it, its real listener, full policy and audit, either store. */
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBroker } from '../../../src/app.ts'
import type { Broker } from '../../../src/broker.ts'
import { developmentConfig } from '../../../src/config/development.ts'
import { sizeThreadPool } from '../../../src/config/environment.ts'
import { type Listening, listen } from '../../../src/http/listener.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { answerCalls } from '../rpc.ts'
import { usageHandlers } from '../usage.ts'

export interface ErrandOrder {
  readonly issuer: string
  readonly org: string
  readonly store:
    | { readonly kind: 'embedded'; readonly directory: string }
    | { readonly kind: 'redis'; readonly url: string }
  readonly keysDirectory: string
  /** The registry document, not decoded. */
  readonly registry: unknown
}

/** How often it is looked whether a version decides. */
const POLL_MS = 5

let listening: Listening | undefined
let running: Broker | undefined
const delays = monitorEventLoopDelay({ resolution: 1 })
const work = { longest: 0, spent: 0, timer: undefined as NodeJS.Timeout | undefined }

/** The longest, since it is watched. */
export interface Pause {
  /** By the clock: other processes of a busy machine are in it. */
  readonly ms: number
  /** CPU time of the main thread, from one turn of its timers to the next. */
  readonly cpuMs: number
}
// As the command does.
sizeThreadPool()

answerCalls({
  ...usageHandlers(),
  start: async ({ issuer, org, store, keysDirectory, registry }: ErrandOrder): Promise<{ port: number }> => {
    const base = developmentConfig({
      port: 0,
      store: store.kind === 'redis' ? { kind: 'redis', url: new Secret(store.url) } : store,
      keysDirectory,
      logLevel: 'warn',
    })
    const config = { ...base, org, settings: { ...base.settings, issuer } }
    const broker = await createBroker(config, { documents: [{ document: registry, sourceName: 'bench.yaml' }] })
    running = broker
    listening = await listen(broker, { host: '127.0.0.1', port: 0 })
    return { port: listening.port }
  },
  /** @returns the version */
  publish: async (document: unknown): Promise<string> => {
    if (running === undefined) throw new Error('no broker has been started')
    return (await running.publisher.publishFiles([{ name: 'bench.yaml', document }], { by: 'bench' })).version
  },
  decidesBy: async (version: string): Promise<void> => {
    while (running?.publisher.published.registry.version !== version) await sleep(POLL_MS)
  },
  watchLoop: () => {
    delays.reset()
    delays.enable()
    work.longest = 0
    work.timer = setInterval(noteWork, 1)
    work.spent = spentMs()
  },
  longestPause: (): Pause => {
    delays.disable()
    clearInterval(work.timer)
    return { ms: delays.max / 1e6, cpuMs: work.longest }
  },
  /** As on SIGTERM: what is counted is written. */
  finish: () => listening?.stop(),
})

function noteWork(): void {
  const now = spentMs()
  work.longest = Math.max(work.longest, now - work.spent)
  work.spent = now
}

function spentMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
