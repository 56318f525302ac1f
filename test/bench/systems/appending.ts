/**
 * Records written at a steady rate by one process, which brings them into the log meanwhile, a group at a time: how long each
 * record takes to be durable in its outbox, and how long each group from when it is handed to the log until it is durable there.
 * By the clock of this process, so that of a machine that has other work its waiting for a processor is in both.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Acknowledged } from '../../../src/audit/log/acknowledged.ts'
import { Checkpoints } from '../../../src/audit/log/checkpoints.ts'
import { Sequencer } from '../../../src/audit/log/sequencer.ts'
import { systemClock, systemTicks } from '../../../src/kernel/clock.ts'
import { newDecisionId } from '../../../src/kernel/ids.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { testSigner } from '../../support/whole-log.ts'
import { answerCalls } from '../rpc.ts'
import type { StoreOf } from '../systems.ts'

export interface AppendOrder {
  readonly store: StoreOf
  readonly perSecond: number
  readonly seconds: number
}

export interface Appended {
  /** Milliseconds, of each record that was written in steady state: once code is compiled and connections are warm. */
  readonly latencies: readonly number[]
  /** Of each group that was appended to the log in steady state. */
  readonly logLatencies: readonly number[]
  /** Of all that were written, and in the log. */
  readonly records: number
  readonly sequenced: number
}

const TURN_MS = 5
/** Then the state is steady. */
const WARM_SHARE = 0.2
const SETTLED_MS = 1_500

answerCalls({
  append: async ({ store: order, perSecond, seconds }: AppendOrder): Promise<Appended> => {
    const org = 'append'
    const store = await openStore(order.kind === 'redis' ? { ...order, org } : { ...order, org, clock: systemClock })
    const logLatencies: number[] = []
    const log: typeof store.log = {
      head: () => store.log.head(),
      read: (names) => store.log.read(names),
      remove: (names) => store.log.remove(names),
      append: (...args) => timed(logLatencies, () => store.log.append(...args)),
    }
    const signer = testSigner()
    const acknowledged = new Acknowledged(store.audit)
    store.audit.watch(acknowledged)
    const checkpoints = new Checkpoints({ documents: store.documents, log, logKey: { signer: async () => signer } })
    const failed = (_reason: string, error: unknown) => {
      throw error
    }
    const known = { acknowledged, checkpoints, clock: systemClock, ticks: systemTicks, by: 'bench', failed }
    const sequencer = new Sequencer({ audit: store.audit, log, usage: () => undefined, ...known })
    sequencer.start()
    const latencies: number[] = []
    let sent = 0
    // Only those: what a broker has answered it does not keep.
    const underWay = new Set<Promise<void>>()
    const begun = performance.now()
    const steady = { sent: perSecond * seconds * WARM_SHARE, groups: 0 }
    while (sent < perSecond * seconds) {
      const due = Math.min(perSecond * seconds, ((performance.now() - begun) / 1000) * perSecond)
      if (sent < steady.sent) steady.groups = logLatencies.length
      for (; sent < due; sent++) {
        const key = `key-${sent}`
        const append = timed(sent < steady.sent ? [] : latencies, () => store.audit.append(key, record()))
        const ended = append.then(() => void underWay.delete(ended))
        underWay.add(ended)
      }
      await sleep(TURN_MS)
    }
    await Promise.all(underWay)
    await sleep(SETTLED_MS)
    const { size } = sequencer.state
    await sequencer.stop()
    await store.close()
    return { latencies, logLatencies: logLatencies.slice(steady.groups), records: sent, sequenced: size }
  },
})

async function timed<T>(latencies: number[], work: () => Promise<T>): Promise<T> {
  const begun = performance.now()
  const result = await work()
  latencies.push(performance.now() - begun)
  return result
}

/** About as large as that of an exchange. */
function record(): string {
  const at = new Date(systemClock.nowMs()).toISOString()
  const by = { by: 'agent:researcher', by_class: 'agent', agent: { id: 'researcher', version: '1' } } as const
  const what = { event: 'token.continue', outcome: 'granted', detail: 'x'.repeat(700) } as const
  return JSON.stringify({ id: newDecisionId(), at, ...by, ...what })
}
