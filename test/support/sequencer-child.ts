/**
 * A process that writes records and sequences them, on a store that it shares with others; killed by its own hand (SIGKILL) at a
 * step where it is told to. Its clock of turns runs a hundred times as fast, so that what takes a minute takes 600 ms. The order
 * is one line of JSON on standard input. Says `acked <text>` of each record and `signed <size> <root>` of each checkpoint before
 * anything else happens.
 */
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { Acknowledged } from '../../src/audit/log/acknowledged.ts'
import { Checkpoints } from '../../src/audit/log/checkpoints.ts'
import { Sequencer } from '../../src/audit/log/sequencer.ts'
import { systemClock } from '../../src/kernel/clock.ts'
import { sha256 } from '../../src/kernel/digest.ts'
import { newDecisionId } from '../../src/kernel/ids.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/ports.ts'
import { whenAvailable } from './patience.ts'
import { testSigner } from './whole-log.ts'

export const KILL_STEPS = [
  'after read',
  'after contents',
  'before append',
  'after append',
  'before sign',
  'after sign',
  'before publish',
  'after publish',
  'before trim',
  'after trim',
] as const

export interface SequencerOrder {
  readonly store:
    | { readonly kind: 'embedded'; readonly directory: string; readonly lockHolderPid: number }
    | { readonly kind: 'redis'; readonly url: string }
  readonly pem: string
  /** Records it writes before it sequences, and in each tenth of a second while it does. */
  readonly first: number
  readonly meanwhile: number
  readonly dieAt?: (typeof KILL_STEPS)[number]
}

const SPEED = 100

async function run(order: SequencerOrder): Promise<void> {
  const store = await open(order.store)
  let count = 0
  const write = async () => {
    const at = new Date(systemClock.nowMs()).toISOString()
    const by = { by: 'agent:researcher', by_class: 'agent' } as const
    const question = JSON.stringify({ question: count })
    const named = { digest: sha256(question), text: question }
    const record = {
      id: newDecisionId(),
      at,
      event: 'token.continue',
      outcome: 'granted',
      ...by,
      question: named.digest,
    }
    const text = JSON.stringify(record)
    if (count++ % 10 === 0) await store.audit.appendStrangers(text)
    else await store.audit.append(`key-${count}`, text, [named])
    writeSync(1, `acked ${text}\n`)
  }
  for (let n = 0; n < order.first; n++) await whenAvailable(write)
  const sequencer = sequencerOf(store, order)
  const ticking = setInterval(() => void sequencer.tick(), 5)
  const writing = setInterval(() => {
    for (let n = 0; n < order.meanwhile; n++) void write().catch(() => undefined)
  }, 100)
  const stop = async () => {
    clearInterval(writing)
    clearInterval(ticking)
    await sequencer.stop()
    await store.close()
    process.exit(0)
  }
  process.once('SIGTERM', () => void stop())
  writeSync(1, 'ready\n')
}

function open(order: SequencerOrder['store']): Promise<Store> {
  if (order.kind === 'redis') return openStore({ ...order, org: 'default' })
  const { directory, lockHolderPid } = order
  const peers = { lockHolderPid, notify: () => undefined, onNotified: () => undefined }
  return openStore({ kind: 'embedded', directory, org: 'default', clock: systemClock, peers })
}

function sequencerOf(store: Store, { pem, dieAt }: SequencerOrder): Sequencer {
  const step = (name: (typeof KILL_STEPS)[number]) => {
    if (name === dieAt) process.kill(process.pid, 'SIGKILL')
  }
  const around = async <T>(name: 'append' | 'sign' | 'publish' | 'trim', work: () => Promise<T>): Promise<T> => {
    step(`before ${name}`)
    const result = await work()
    step(`after ${name}`)
    return result
  }
  const signer = testSigner(pem)
  const sign = (text: string) =>
    around('sign', () => {
      const [, size, root] = text.split('\n')
      writeSync(1, `signed ${size} ${root}\n`)
      return signer.sign(text)
    })
  const log: Store['log'] = {
    head: () => store.log.head(),
    read: (names) => store.log.read(names),
    remove: (names) => store.log.remove(names),
    append: (expected, head, pieces) => around('append', () => store.log.append(expected, head, pieces)),
  }
  const documents: Store['documents'] = {
    read: (name) => store.documents.read(name),
    replace: (name, expected, text) => around('publish', () => store.documents.replace(name, expected, text)),
  }
  const audit = {
    outboxes: store.audit.outboxes,
    async pending(...args: Parameters<Store['audit']['pending']>) {
      const found = await store.audit.pending(...args)
      if (found.size > 0) step('after read')
      return found
    },
    async contentsIn(...args: Parameters<Store['audit']['contentsIn']>) {
      const found = await store.audit.contentsIn(...args)
      step('after contents')
      return found
    },
    trim: (...args: Parameters<Store['audit']['trim']>) => around('trim', () => store.audit.trim(...args)),
  }
  const checkpoints = new Checkpoints({ documents, log, logKey: { signer: async () => ({ key: signer.key, sign }) } })
  const ticks = { ticksMs: () => performance.now() * SPEED }
  const failed = (reason: string, error: unknown) => void writeSync(1, `failed ${reason} ${String(error)}\n`)
  const usage = () => ({ records: 1, limit: 1 })
  const acknowledged = new Acknowledged(store.audit)
  store.audit.watch(acknowledged)
  return new Sequencer({
    acknowledged,
    audit,
    log,
    checkpoints,
    clock: systemClock,
    ticks,
    usage,
    by: String(process.pid),
    failed,
  })
}

createInterface({ input: process.stdin }).once('line', (line) => void run(JSON.parse(line) as SequencerOrder))
