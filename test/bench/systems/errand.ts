/** Errand under test: the broker as `createBroker` wires it, its real listener, full policy and audit, either store. */
import { existsSync, openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { createBroker } from '../../../src/app.ts'
import type { Broker } from '../../../src/broker.ts'
import { developmentConfig } from '../../../src/config/development.ts'
import { sizeThreadPool } from '../../../src/config/environment.ts'
import { type Listening, listen } from '../../../src/http/listener.ts'
import { epochSeconds, systemClock } from '../../../src/kernel/clock.ts'
import { operatorPrincipal } from '../../../src/kernel/ids.ts'
import { Secret } from '../../../src/kernel/secret.ts'
import { keepRoom } from '../../../src/kernel/young-objects.ts'
import { ADMIN_ROLES } from '../../../src/model/admin-role.ts'
import type { BrokerSettings } from '../../../src/model/settings.ts'
import { Minter } from '../../../src/tokens/minter.ts'
import { answerCalls } from '../rpc.ts'
import { usageHandlers } from '../usage.ts'
import { dropAudit } from './dropped-audit.ts'

export interface ErrandOrder {
  readonly issuer: string
  readonly org: string
  /** Without any audit. */
  readonly stubbed: boolean
  readonly store:
    | { readonly kind: 'embedded'; readonly directory: string }
    | { readonly kind: 'redis'; readonly url: string }
  readonly keysDirectory: string
  /** The registry document, not decoded. */
  readonly registry: unknown
}

/** How often it is looked whether a version decides. */
const POLL_MS = 5
const TURN_MS = 1
const TOKEN_S = 600

let listening: Listening | undefined
let running: Broker | undefined
let settings: BrokerSettings | undefined
/** Of the main thread; its second number is how long it was ready to run and had no processor, in nanoseconds. */
const SCHEDULED = `/proc/self/task/${process.pid}/schedstat`
const watch = { ms: 0, ownMs: 0, at: 0, waitedMs: 0, timer: undefined as NodeJS.Timeout | undefined, file: -1 }

/** The longest from one turn of the main thread's timers to the next, less the millisecond that is meant; since it is watched. */
export interface Pause {
  /** By the clock: what a request would have waited. */
  readonly ms: number
  /** Of the clock's time, what the thread did not wait for a processor that others had. Without Linux, the same as `ms`. */
  readonly ownMs: number
}
// As the command does.
sizeThreadPool()
keepRoom()

answerCalls({
  ...usageHandlers(settle),
  start: async ({ issuer, org, store, keysDirectory, registry, stubbed }: ErrandOrder): Promise<{ port: number }> => {
    if (stubbed) dropAudit()
    const base = developmentConfig({
      port: 0,
      store: store.kind === 'redis' ? { kind: 'redis', url: new Secret(store.url) } : store,
      keysDirectory,
      logLevel: 'warn',
    })
    const config = { ...base, org, settings: { ...base.settings, issuer } }
    const broker = await createBroker(config, { documents: [{ document: registry, sourceName: 'bench.yaml' }] })
    running = broker
    settings = config.settings
    listening = await listen(broker, { host: '127.0.0.1', port: 0 })
    return { port: listening.port }
  },
  /** As `errand policy apply` makes it, for the admin API. */
  managementToken: async (): Promise<string> => {
    if (running === undefined || settings === undefined) throw new Error('no broker has been started')
    const now = epochSeconds(systemClock)
    const wish = { operator: operatorPrincipal('bench'), roles: ADMIN_ROLES, now, expiresAt: now + TOKEN_S }
    return (await new Minter(running.ring, settings).management(wish)).token.reveal()
  },
  decidesBy: async (version: string): Promise<void> => {
    while (running?.publisher.published.registry.version !== version) await sleep(POLL_MS)
  },
  watchLoop: () => {
    if (watch.file < 0 && existsSync(SCHEDULED)) watch.file = openSync(SCHEDULED, 'r')
    Object.assign(watch, { ms: 0, ownMs: 0, at: performance.now(), waitedMs: waitedMs() })
    watch.timer = setInterval(noteTurn, TURN_MS)
  },
  longestPause: (): Pause => {
    clearInterval(watch.timer)
    return { ms: watch.ms, ownMs: watch.ownMs }
  },
  /** As on SIGTERM: what is counted is written. */
  finish: () => listening?.stop(),
})

/** Records are brought into the log a while after the answer. Twice: the first may find a turn under way that does not have the last of them. */
async function settle(): Promise<void> {
  await running?.flushAudit()
  await running?.flushAudit()
}

function noteTurn(): void {
  const [now, waited] = [performance.now(), waitedMs()]
  const ms = Math.max(0, now - watch.at - TURN_MS)
  watch.ms = Math.max(watch.ms, ms)
  watch.ownMs = Math.max(watch.ownMs, ms - (waited - watch.waitedMs))
  watch.at = now
  watch.waitedMs = waited
}

const read = Buffer.alloc(128)

function waitedMs(): number {
  if (watch.file < 0) return 0
  return Number(read.toString('latin1', 0, readSync(watch.file, read, 0, read.length, 0)).split(' ')[1]) / 1e6
}
