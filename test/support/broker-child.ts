/**
 * A broker as a process of its own, for tests: reads one line of JSON (`ChildOrder`) from its input, says `listening <port>`
 * once it does, and ends like a real one on SIGTERM: requests in flight are answered, what is counted is written.
 */
import { flushCompileCache } from 'node:module'
import { createInterface } from 'node:readline'
import { createBroker } from '../../src/app.ts'
import type { Broker } from '../../src/broker.ts'
import type { Config } from '../../src/config/config.ts'
import { developmentConfig } from '../../src/config/development.ts'
import { listen } from '../../src/http/listener.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import type { BrokerSettings } from '../../src/model/settings.ts'
import type { Store } from '../../src/store/ports.ts'
import type { KillOrder } from './kill-steps.ts'
import { NO_BRAKES, NO_LIMITS } from './no-limits.ts'
import { type StoreOrder, storeConfig } from './store-order.ts'

export interface ChildOrder {
  /** 0: any free one. */
  readonly port: number
  readonly settings: Partial<BrokerSettings> & Pick<BrokerSettings, 'issuer'>
  readonly store: StoreOrder
  readonly keysDirectory: string
  /** Whether DPoP proofs must carry a nonce. */
  readonly dpop?: Config['dpop']
  readonly auditExport?: Config['auditExport']
  readonly keepMs?: number
  /** The registry document, not decoded. */
  readonly registry: unknown
  /** Added to the system clock: a broker whose clock is wrong. */
  readonly clockOffsetMs: number
  /** To be killed in the middle of its first request. */
  readonly kill?: KillOrder
}

export type ChildFault = { readonly clockOffsetMs: number } | { readonly blockMs: number }

let offsetMs = 0

async function start(order: ChildOrder): Promise<void> {
  const base = developmentConfig({
    port: order.port,
    store: storeConfig(order.store),
    keysDirectory: order.keysDirectory,
    logLevel: 'silent',
  })
  const config = {
    ...base,
    settings: { ...base.settings, drift: NO_BRAKES, ...order.settings },
    limits: NO_LIMITS,
    dpop: order.dpop ?? base.dpop,
    auditExport: order.auditExport ?? [],
    retention: order.keepMs === undefined ? base.retention : { keepMs: order.keepMs, keepRecords: undefined },
  }
  const clock = { nowMs: () => systemClock.nowMs() + offsetMs }
  const broker: Broker = await createBroker(config, {
    documents: [{ document: order.registry, sourceName: 'child.yaml' }],
    clock,
  })
  const listening = await listen(broker, { host: '127.0.0.1', port: order.port })
  process.once('SIGTERM', () => void listening.stop().then(() => process.exit(0)))
  process.on('SIGHUP', () => void broker.reloadKeys())
  if (order.kill !== undefined) await dieAt(order.kill, order.store.kind, broker.store)
  process.stdout.write(`listening ${listening.port}\n`)
}

async function dieAt(kill: KillOrder, kind: ChildOrder['store']['kind'], store: Store): Promise<void> {
  const { killAt } = await import('./kill-steps.ts')
  const embedded = kind === 'embedded' ? await import('../../src/store/embedded-database.ts') : undefined
  killAt(kill, store, embedded?.EmbeddedDatabase)
}

/** What befalls it while it runs: its clock is set, or its event loop is held up. Said back once it is so, or over. */
function suffer(line: string): void {
  const fault = JSON.parse(line) as ChildFault
  if ('clockOffsetMs' in fault) offsetMs = fault.clockOffsetMs
  const until = performance.now() + ('blockMs' in fault ? fault.blockMs : 0)
  while (performance.now() < until);
  process.stdout.write('suffered\n')
}

// One that is killed would never write it.
flushCompileCache()
const input = createInterface({ input: process.stdin })
input.once('line', (line) => {
  input.on('line', suffer)
  const order = JSON.parse(line) as ChildOrder
  offsetMs = order.clockOffsetMs
  start(order).catch((error: unknown) => {
    process.stdout.write(`failed ${JSON.stringify(error instanceof Error ? error.message : String(error))}\n`)
    process.exit(1)
  })
})
